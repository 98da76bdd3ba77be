package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/member"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Tree is the content of the tree.
type Tree struct {
	Candidates []Candidate  // the leader first
	Strangers  []Znode      // children of /master that are no candidates; only names, except for Diagnose
	Workers    []Worker     // by name; all children of /workers
	Drains     []Drain      // by name
	Members    []Member     // by name
	Protocol   *member.Told // what /members itself holds; nil: it is missing, or may not be read
	Tasks      []Task       // by name; with a malformed name only that, except for Diagnose
	Data       []Znode      // payloads, by name; only for Diagnose
	Access     Access       // who may do what, and the roles of the caller
	Dirs       []Znode      // permanent znodes that may not be read, by path; for Diagnose all that exist
}

// Access is the policy, with the caller's roles.
type Access struct {
	Policy access.Policy
	Err    error // the policy cannot be read

	roles []access.Role // of the caller
}

func readAccess(s *session.Session) (a Access, err error) {
	a.Policy, a.Err = s.Policy()
	a.roles = s.Roles()
	if errors.Is(a.Err, session.ErrOver) {
		return a, a.Err
	}
	return a, nil
}

// why is the reason that the policy cannot be read.
func (a Access) why() string {
	return printable.Line(printable.Cut(strings.TrimPrefix(a.Err.Error(), access.Znode+": "), 300))
}

// unreadable says why a znode cannot be read. An unreadable policy has a message of its own.
func (a Access) unreadable(err error) string {
	if a.Err != nil && session.Refused(err) {
		return "may not be read"
	}
	return unreadable(err)
}

// secret reports whether err is a refusal because the policy gives the caller no right to read.
func (a Access) secret(path string, err error) bool {
	return session.Refused(err) && a.Policy.Withholds(a.roles, path, zk.PermRead)
}

// Znode is what all kinds of znodes have in common.
type Znode struct {
	Name              string
	Err               error // of reading it: then all fields below are unknown
	Created, Modified time.Time
	Mzxid             int64
	Version           int32
	Owner             int64 // the session that it vanishes with; 0 = it is permanent

	// Only for Diagnose.
	Below    []Znode // children
	Closed   bool    // its ACL does not obey the policy; without a policy: the service lacks a right
	Pzxid    int64   // of the last creation or deletion of a child
	Aversion int32   // of its ACL

	acl      []zk.ACL // that it should have, if it is Closed
	children int32
	gone     bool // it has vanished since it was listed
}

func (z Znode) base() Znode { return z }

// Candidate is a znode that runs for leader.
type Candidate struct {
	Znode
	Who string
}

// Worker is a child of /workers.
type Worker struct {
	Znode
	Tasks     []string
	Malformed error // its data are no list
}

// queue is the queue of its tasks.
func (w *Worker) queue() string { q, _ := task.SplitQueue(w.Name); return q }

// usable reports whether the leader takes it for a worker.
func (w *Worker) usable() bool { return w.Err == nil && w.Malformed == nil && w.Owner != 0 }

// Drain is a child of /drain.
type Drain struct {
	Znode
	Drained bool   // the leader has written so
	Note    string // of a person
}

// Member is a child of /members.
type Member struct {
	Znode
	member.Told
}

// draining returns the names of the drains.
func (t *Tree) draining() task.Draining {
	names := make([]string, len(t.Drains))
	for i := range t.Drains {
		names[i] = t.Drains[i].Name
	}
	return task.NewDraining(names)
}

// Task is a child of /tasks.
type Task struct {
	Znode
	Phase  task.Phase
	Losses int
	Facts  task.Facts
	Text   Text // the result, the reason, or the whole of a malformed state
	Stderr Text
}

// wellFormed reports whether it is a task at all.
func (t *Task) wellFormed() bool {
	return t.Err == nil && t.Phase != task.Malformed && task.ValidID(t.Name)
}

// holders returns the usable workers that list each task.
func (t *Tree) holders() map[string][]*Worker {
	held := make(map[string][]*Worker)
	for i := range t.Workers {
		if w := &t.Workers[i]; w.usable() {
			for _, id := range w.Tasks {
				held[id] = append(held[id], w)
			}
		}
	}
	return held
}

// queue is the queue that it is in.
func (t *Task) queue() string { q, _ := task.SplitQueue(t.Name); return q }

// crew counts workers.
type crew struct {
	total    int
	draining int
	free     int      // and not draining
	drains   []string // that drain any of them, sorted
}

// crew counts the workers of a queue; nil: of all.
func (t *Tree) crew(queue *string) (c crew) {
	draining := t.draining()
	for i := range t.Workers {
		w := &t.Workers[i]
		if !w.usable() || queue != nil && w.queue() != *queue {
			continue
		}
		drains := draining.Of(w.Name)
		c.total++
		switch {
		case len(drains) > 0:
			c.draining++
			c.drains = append(c.drains, drains...)
		case len(w.Tasks) == 0:
			c.free++
		}
	}
	slices.Sort(c.drains)
	c.drains = slices.Compact(c.drains)
	return c
}

// bySession returns the members by session. All znodes of a process have the same session.
func (t *Tree) bySession() map[int64]member.Told {
	processes := make(map[int64]member.Told, len(t.Members))
	for i := range t.Members {
		if m := &t.Members[i]; m.Err == nil && m.Owner != 0 {
			processes[m.Owner] = m.Told
		}
	}
	return processes
}

// String counts candidates, workers and tasks.
func (t *Tree) String() string {
	workers := t.crew(nil).total
	return fmt.Sprintf("%s, %s, %s", count(len(t.Candidates), "candidate"), count(workers, "worker"), count(len(t.Tasks), "task"))
}
