package sched

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// Drain is a child of /drain. What it names is given no task: the workers of a host, those
// of a process, or one worker.
type Drain struct {
	Name    string
	Data    []byte
	Version int32
	Drained bool // it says that what it names is free
}

// DrainsListed is all children of /drain.
type DrainsListed struct{ Drains []Drain }

func (e DrainsListed) handle(s *Scheduler, _ time.Time) {
	s.drains = make(map[string]Drain, len(e.Drains))
	for _, d := range e.Drains {
		s.drains[d.Name] = d
	}
	for _, w := range s.workers {
		if w.state == free || w.state == drained {
			s.becomeWorker(w, s.withoutTasks(w), nil)
		}
	}
}

// DrainWritten is a Drain of a decision that was written, or that could not be.
type DrainWritten struct{ Name string }

func (e DrainWritten) handle(s *Scheduler, _ time.Time) {
	if d, there := s.drains[e.Name]; there {
		d.Drained = true
		s.drains[e.Name] = d
	}
}

// Drains are the names of the children of /drain, sorted.
func (s *Scheduler) Drains() []string { return slices.Sorted(maps.Keys(s.drains)) }

func (s *Scheduler) draining(name string) bool {
	_, draining := s.drains[name]
	return draining
}

// withoutTasks is the state of a worker that lists nothing.
func (s *Scheduler) withoutTasks(w *worker) workerState {
	if len(s.drains) > 0 && slices.ContainsFunc(task.Drains(w.id), s.draining) {
		return drained
	}
	return free
}

// drained returns the drains all of whose workers are free now, and do not say so yet.
func (s *Scheduler) drained() []Drain {
	open := maps.Clone(s.drains)
	maps.DeleteFunc(open, func(_ string, d Drain) bool { return d.Drained })
	if len(open) == 0 {
		return nil
	}
	for _, w := range s.workers {
		if w.state == drained || w.state == unusable && len(w.list) == 0 {
			continue
		}
		for _, name := range task.Drains(w.id) {
			delete(open, name)
		}
	}
	return slices.SortedFunc(maps.Values(open), func(a, b Drain) int { return cmp.Compare(a.Name, b.Name) })
}
