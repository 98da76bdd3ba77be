package sched

import (
	"slices"
	"strings"

	"taskkeeper/internal/task"
)

// Query says which tasks to find.
type Query struct {
	State string // "pending", "running", "done", "failed", "malformed"; "": all
	Part  string // their ids contain it
	After string // an id; only tasks with greater ones are returned
	Most  int    // at most so many are returned
}

// Selection is a page of the tasks that match a query.
type Selection struct {
	Tasks  []Found // by id
	Before int     // how many match and are not after Query.After
	All    int     // how many match, on this page and elsewhere
}

// Found is a task.
type Found struct{ ID, State string }

// Select finds the tasks that match a query. It takes as long as Counts.
func (s *Scheduler) Select(q Query) (sel Selection) {
	for id, t := range s.tasks {
		state := t.shown()
		if q.State != "" && q.State != state || !strings.Contains(id, q.Part) {
			continue
		}
		sel.All++
		switch {
		case id <= q.After:
			sel.Before++
		case len(sel.Tasks) < q.Most || q.Most > 0 && id < sel.Tasks[q.Most-1].ID:
			at, _ := slices.BinarySearchFunc(sel.Tasks, id, func(f Found, id string) int { return strings.Compare(f.ID, id) })
			sel.Tasks = slices.Insert(sel.Tasks, at, Found{id, state})
			sel.Tasks = sel.Tasks[:min(len(sel.Tasks), q.Most)]
		}
	}
	return sel
}

// shown is the state of a task that people are shown; see Count.
func (t *entry) shown() string {
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
