package web

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"taskkeeper/internal/access"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// The tree is the part "tree" of a hub of its own, whose readers share it. It is read only while
// there are any: the Stats of what is shown, then the data of what has changed.
const (
	treeEvery    = time.Second
	treeLooks    = 100 * time.Millisecond // how often it is asked whether anybody reads
	treePipeline = 16                     // requests under way at once
	markedFor    = 4 * time.Second        // a change is

	mostListed = 1000    // children that a znode may have, to be listed: 100,000 names cost a server 60 ms
	mostShown  = 50      // of those, that are shown
	mostRead   = 8 << 10 // bytes that a znode may have, to be read
	dataShown  = 120     // of those, that are shown
)

// tree is the part.
type tree struct {
	Root  string      `json:"root"`
	Error string      `json:"error,omitempty"` // why it is not known
	Dirs  []directory `json:"dirs"`
	More  int         `json:"more"` // znodes beside those
}

// directory is a child of the chroot, and its children.
type directory struct {
	znode
	Meaning string  `json:"meaning"`
	List    []znode `json:"list"`
	More    int     `json:"more"`                // children that are not in it
	Note    string  `json:"list_note,omitempty"` // why it is empty
}

// znode is one as it is shown.
type znode struct {
	Key       string `json:"key"`            // of this znode alone: another one at its path has another
	Name      string `json:"name"`           // fit for a person
	Task      string `json:"task,omitempty"` // where its task's page is
	Data      string `json:"data"`
	Note      string `json:"note,omitempty"` // why there is no data
	Version   int32  `json:"version"`
	Ephemeral bool   `json:"ephemeral,omitempty"` // it vanishes with a session; which one is not told: see recorder
	Children  int32  `json:"children"`
	Change    string `json:"change,omitempty"` // "created", "written" or "deleted", for a while
}

// meanings tell what the directories are for, in the order in which these are shown.
var meanings = []struct{ dir, text string }{
	{task.MasterDir, "Who runs for leader. The lowest number leads; each of the others watches the one before it."},
	{task.WorkersDir, "Who works. A worker's data lists the tasks that the leader has assigned to it; empty, it is free."},
	{task.TasksDir, "What is to be done, and what became of it: pending, done and the result, or failed and the reason."},
	{task.DataDir, "Each task's payload, under the task's id. It is written once, with the task."},
	{task.DrainDir, "Which workers get no more tasks: a person names them here."},
	{task.MembersDir, "Which processes there are, and of which version."},
	{access.Znode, "Who may do what: the policy. Everyone may read it."},
	{"/zookeeper", "ZooKeeper's own: its quotas and its configuration."},
}

// followTree shows the tree while somebody has it open, until ctx ends, or the session.
func (p *Page) followTree(ctx context.Context, s *session.Session) {
	ticker := time.NewTicker(treeLooks)
	defer ticker.Stop()
	var r *treeReader
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Done():
			return
		case now := <-ticker.C:
			switch {
			case !p.tree.watched():
				r = nil
				continue
			case now.Sub(last) < treeEvery:
				continue
			case r == nil:
				r = newTreeReader(s)
			}
			last = now
			secret, err := p.hidesPayloads(s)
			if err != nil {
				return
			}
			t, err := r.read(now, secret)
			if errors.Is(err, session.ErrOver) {
				return
			}
			if err != nil {
				t = tree{Error: shown(err.Error())}
			}
			t.Root = shown(cmp.Or(p.cfg.Address.Chroot, "/"))
			p.tree.renew("tree", t)
		}
	}
}

// ours tells whether a znode belongs to the service.
func ours(path string) bool {
	dir, _, _ := strings.Cut(path[1:], "/")
	return dir == "" || rank("/"+dir) < len(meanings)
}

func meaning(path string) string {
	if i := rank(path); i < len(meanings) {
		return meanings[i].text
	}
	return "Made by a person: no program of this service uses it."
}

// rank orders the directories.
func rank(path string) int {
	for i, m := range meanings {
		if m.dir == path {
			return i
		}
	}
	return len(meanings)
}
