package inspect

import (
	"fmt"
	"time"

	"taskkeeper/internal/task"
)

// tolerance is how much clocks may differ without a warning.
const tolerance = 5 * time.Second

// clocks compares this machine's clock with the clock of ZooKeeper's servers, which gives all
// times in the tree. It returns the time on the servers' clock, as far as it is known, and
// warnings if clocks differ.
//
// ZooKeeper shows its time only in writes. So the servers' clock is known to be ahead only
// after a recent write: its time is later than now. The servers' clock is known to be behind
// only if a task was created earlier than its client, by the client's clock, made the id.
// Whether that client's clock agrees with this machine's is unknown.
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
			"the clock of ZooKeeper's servers is ahead of this machine's by %s or more: ages count only up to the last write", age(ahead))})
	}
	if behind > tolerance {
		warnings = append(warnings, Warning{Text: fmt.Sprintf(
			"the clock of ZooKeeper's servers is behind that of a client by %s or more: ages may be too long by as much", age(behind))})
	}
	return servers, warnings
}
