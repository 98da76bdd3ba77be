package sched

import (
	"slices"
	"strings"

	"taskkeeper/internal/task"
)

// Query says which tasks are looked for.
type Query struct {
	State string // "pending", "running", "done", "failed", "malformed"; "": all
	Part  string // of their ids
	Most  int    // of them
}

// Found is a task.
type Found struct{ ID, State string }

// Select returns the first tasks that a query is for, by id, and how many there are in all. It
// takes as long as Counts.
func (s *Scheduler) Select(q Query) (found []Found, all int) {
	for id, t := range s.tasks {
		if state := t.told(); (q.State == "" || q.State == state) && strings.Contains(id, q.Part) {
			all++
			if len(found) == q.Most && (q.Most == 0 || id > found[q.Most-1].ID) {
				continue
			}
			at, _ := slices.BinarySearchFunc(found, id, func(f Found, id string) int { return strings.Compare(f.ID, id) })
			found = slices.Insert(found, at, Found{id, state})
			found = found[:min(len(found), q.Most)]
		}
	}
	return found, all
}

// told is what people are told that a task is; see Count.
func (t *entry) told() string {
	switch t.state {
	case Unverified, Pending, Assigning:
		return "pending"
	case Assigned:
		return "running"
	case Released:
		return "done"
	case Exhausted, Failing:
		return "failed"
	}
	switch t.phase {
	case task.Done:
		return "done"
	case task.Failed:
		return "failed"
	}
	return "malformed"
}
