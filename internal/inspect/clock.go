package inspect

import (
	"fmt"
	"time"

	"taskkeeper/internal/task"
)

// tolerance is by how much clocks may differ without a word.
const tolerance = 5 * time.Second

// clocks compares this machine's clock with that of ZooKeeper's servers, by which all
// times in the tree are. It returns what the servers' clock says now, as far as is
// known, and a warning if clocks differ.
//
// Without a write ZooKeeper does not tell its time. So the servers' clock is known to be
// ahead only where something was written lately: then it is later than now. It is known
// to be behind only where a task was created before its client, by its own clock, made
// the id; whether that client's clock is like this machine's is not known.
func (t *Tree) clocks(now time.Time) (servers time.Time, warnings []Warning) {
	servers = now
	latest := func(z *Znode) {
		for _, at := range []time.Time{z.Created, z.Modified} {
			if at.After(servers) {
				servers = at
			}
		}
	}
	for i := range t.Candidates {
		latest(&t.Candidates[i].Znode)
	}
	for i := range t.Workers {
		latest(&t.Workers[i].Znode)
	}
	behind := time.Duration(0)
	for i := range t.Tasks {
		x := &t.Tasks[i]
		latest(&x.Znode)
		if name := task.ParseName(x.Name); !name.ByHand && x.Err == nil {
			behind = max(behind, name.Made.Sub(x.Created))
		}
	}
	if ahead := servers.Sub(now); ahead > tolerance {
		warnings = append(warnings, Warning{Text: fmt.Sprintf(
			"the clock of ZooKeeper's servers is ahead of this machine's by %s or more: ages end with the last write", age(ahead))})
	}
	if behind > tolerance {
		warnings = append(warnings, Warning{Text: fmt.Sprintf(
			"the clock of ZooKeeper's servers is behind that of a client by %s or more: ages may be too long by as much", age(behind))})
	}
	return servers, warnings
}
