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

// The tree is the part "tree" of a hub of its own, shared by all its readers. It is read only while
// there are readers: the Stats of the shown znodes, then the data of the changed ones.
const (
	treeEvery    = time.Second
	treeLooks    = 100 * time.Millisecond // how often it checks for readers
	treePipeline = 16                     // requests under way at once
	markedFor    = 4 * time.Second        // how long a change stays marked

	mostListed = 1000    // a znode with more children is not listed: 100,000 names cost a server 60 ms
	mostShown  = 50      // children that are shown
	mostRead   = 8 << 10 // bytes; larger data are not read
	dataShown  = 120     // bytes of data that are shown
)

// tree is the part "tree".
type tree struct {
	Root  string      `json:"root"`
	Error string      `json:"error,omitempty"` // why it could not be read
	Dirs  []directory `json:"dirs"`
	More  int         `json:"more"` // further znodes
}

// directory is a child of the chroot, and its children.
type directory struct {
	znode
	Meaning string  `json:"meaning"`
	List    []znode `json:"list"`
	More    int     `json:"more"`                // children that are not in List
	Note    string  `json:"list_note,omitempty"` // why List is empty
}

// znode is a znode as the page shows it.
type znode struct {
	Key       string `json:"key"`            // differs for a later znode at the same path
	Name      string `json:"name"`           // fit for a person
	Task      string `json:"task,omitempty"` // the address of its task's page
	Data      string `json:"data"`
	Note      string `json:"note,omitempty"` // why there is no data
	Version   int32  `json:"version"`
	Ephemeral bool   `json:"ephemeral,omitempty"` // it vanishes with a session; its id is not shown: see recorder
	Children  int32  `json:"children"`
	Change    string `json:"change,omitempty"` // "created", "written" or "deleted", for a while
}

// meanings say what the directories are for, in the order of the page.
var meanings = []struct{ dir, text string }{
	{task.MasterDir, "Who runs for leader. The lowest number leads; each other candidate watches the one before it."},
	{task.WorkersDir, "Who works. A worker's data lists the tasks that the leader has assigned to it; empty data: it is free."},
	{task.TasksDir, "The tasks and their states: pending, done and the result, or failed and the reason."},
	{task.DataDir, "Each task's payload, under the task's id. It is written once, with the task."},
	{task.DrainDir, "Which workers get no more tasks: a person names them here."},
	{task.MembersDir, "Which processes there are, and of which version."},
	{access.Znode, "Who may do what: the policy. Everyone may read it."},
	{"/zookeeper", "ZooKeeper's own: its quotas and its configuration."},
}

// followTree shows the tree while somebody has it open, until ctx or the session ends.
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

// ours reports whether a znode belongs to the service.
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
