package sched

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// Drain is a child of /drain that does not say "drained" yet.
type Drain struct {
	Name    string
	Note    string // a person's
	Version int32
}

// DrainsListed is a listing of /drain. A child names a host, a process or one worker; its
// workers get no more tasks.
type DrainsListed struct {
	Names []string // of all children
	Open  []Drain  // those that do not say "drained" yet
}

func (e DrainsListed) handle(s *Scheduler, _ time.Time) {
	s.drains, s.openDrains = task.NewDraining(e.Names), make(map[string]Drain, len(e.Open))
	for _, d := range e.Open {
		s.openDrains[d.Name] = d
	}
	for _, w := range s.workers {
		if w.state == free || w.state == drained {
			s.becomeWorker(w, s.withoutTasks(w), nil)
		}
	}
}

// DrainWritten is a Drain of a decision that the leader wrote, or could not write.
type DrainWritten struct{ Name string }

func (e DrainWritten) handle(s *Scheduler, _ time.Time) { delete(s.openDrains, e.Name) }

// Drains returns the names of the children of /drain, sorted.
func (s *Scheduler) Drains() []string { return slices.Sorted(maps.Keys(s.drains)) }

// withoutTasks is the state of a worker whose list is empty.
func (s *Scheduler) withoutTasks(w *worker) workerState {
	if len(s.drains.Of(w.id)) > 0 {
		return drained
	}
	return free
}

// drained returns the open drains whose workers are all free. A worker that may not be read
// may have tasks, so it counts as busy.
func (s *Scheduler) drained() []Drain {
	if len(s.openDrains) == 0 {
		return nil
	}
	idle := maps.Clone(s.openDrains)
	for _, w := range s.workers {
		if w.state == drained || w.state == malformed {
			continue
		}
		for _, name := range task.Drains(w.id) {
			delete(idle, name)
		}
	}
	return slices.SortedFunc(maps.Values(idle), func(a, b Drain) int { return cmp.Compare(a.Name, b.Name) })
}
