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

// Tree is what was read.
type Tree struct {
	Candidates []Candidate  // the leader first
	Strangers  []Znode      // names under /master that are no candidates; but for Diagnose the names alone
	Workers    []Worker     // also what is none, by name
	Drains     []Drain      // by name
	Members    []Member     // by name
	Protocol   *member.Told // what /members itself tells; nil: it is not there, or may not be read
	Tasks      []Task       // by name; of a malformed name nothing more but for Diagnose
	Data       []Znode      // payloads, by name; only for Diagnose
	Access     Access       // who may do what here, and who looks
	Dirs       []Znode      // the permanent ones that are there, by path; only for Diagnose, but for those that cannot be read
}

// Access is the policy, and what of it concerns who looks.
type Access struct {
	Policy access.Policy
	Err    error // the policy cannot be read

	roles []access.Role // of who looks
}

func readAccess(s *session.Session) (a Access, err error) {
	a.Policy, a.Err = s.Policy()
	a.roles = s.Roles()
	if errors.Is(a.Err, session.ErrOver) {
		return a, a.Err
	}
	return a, nil
}

// why says why the policy cannot be read.
func (a Access) why() string {
	return printable.Line(printable.Cut(strings.TrimPrefix(a.Err.Error(), access.Znode+": "), 300))
}

// unreadable says why a znode cannot be read. A policy that cannot be read is told by itself.
func (a Access) unreadable(err error) string {
	if a.Err != nil && session.Refused(err) {
		return "may not be read"
	}
	return unreadable(err)
}

// secret tells whether it is the policy by which who looks may not read a znode.
func (a Access) secret(path string, err error) bool {
	return session.Refused(err) && a.Policy.Withholds(a.roles, path, zk.PermRead)
}

// Znode is what all of them have in common.
type Znode struct {
	Name              string
	Err               error // it may not be read: then all below is unknown
	Created, Modified time.Time
	Mzxid             int64
	Version           int32
	Owner             int64 // the session that it vanishes with; 0 = it is permanent

	// Only for Diagnose.
	Below    []Znode // children
	Closed   bool    // its ACL is not the policy's; without a policy: not everyone may do what the service has to
	Pzxid    int64   // of the last child that came or went
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
	Malformed error // what it holds is no list
}

// queue is whose tasks it takes.
func (w *Worker) queue() string { q, _ := task.SplitQueue(w.Name); return q }

// usable tells whether the leader takes it for a worker.
func (w *Worker) usable() bool { return w.Err == nil && w.Malformed == nil && w.Owner != 0 }

// Drain is a child of /drain.
type Drain struct {
	Znode
	Drained bool   // so says the leader
	Note    string // of a person
}

// Member is a child of /members.
type Member struct {
	Znode
	member.Told
}

// draining is the names of the drains.
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
	Text   Text // the result, the reason, or all of what is no state
	Stderr Text
}

// wellFormed tells whether it is a task at all.
func (t *Task) wellFormed() bool {
	return t.Err == nil && t.Phase != task.Malformed && task.ValidID(t.Name)
}

// holders tells which workers list each task, those that are none left out.
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

// queue is the one that it is in.
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

// bySession is what processes tell of themselves. All znodes of a process are of one session.
func (t *Tree) bySession() map[int64]member.Told {
	processes := make(map[int64]member.Told, len(t.Members))
	for i := range t.Members {
		if m := &t.Members[i]; m.Err == nil && m.Owner != 0 {
			processes[m.Owner] = m.Told
		}
	}
	return processes
}

// String counts what there is.
func (t *Tree) String() string {
	workers := t.crew(nil).total
	return fmt.Sprintf("%s, %s, %s", count(len(t.Candidates), "candidate"), count(workers, "worker"), count(len(t.Tasks), "task"))
}
