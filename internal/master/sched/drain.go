package sched

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// Drain is a child of /drain of which nobody has written yet that what it names is free.
type Drain struct {
	Name    string
	Note    string // of a person
	Version int32
}

// DrainsListed is a listing of /drain. What a child names is given no task: the workers of
// a host, those of a process, or one worker.
type DrainsListed struct {
	Names []string // all
	Open  []Drain  // of them, those that are to be written when what they name is free
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

// DrainWritten is a Drain of a decision that was written, or that could not be.
type DrainWritten struct{ Name string }

func (e DrainWritten) handle(s *Scheduler, _ time.Time) { delete(s.openDrains, e.Name) }

// Drains are the names of the children of /drain, sorted.
func (s *Scheduler) Drains() []string { return slices.Sorted(maps.Keys(s.drains)) }

// withoutTasks is the state of a worker that lists nothing.
func (s *Scheduler) withoutTasks(w *worker) workerState {
	if len(s.drains.Of(w.id)) > 0 {
		return drained
	}
	return free
}

// drained returns the open drains all of whose workers are free. What a worker has that may
// not be read is not known.
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
