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
	After string // an id; only tasks with greater ones are returned
	Most  int    // of them
}

// Selection is a page of the tasks that a query is for.
type Selection struct {
	Tasks  []Found // by id
	Before int     // how many are not after the query's After
	All    int     // how many there are, with those before and behind the page
}

// Found is a task.
type Found struct{ ID, State string }

// Select finds the tasks that a query is for. It takes as long as Counts.
func (s *Scheduler) Select(q Query) (sel Selection) {
	for id, t := range s.tasks {
		state := t.told()
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
