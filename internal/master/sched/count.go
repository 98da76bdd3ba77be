package sched

import (
	"cmp"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// Count is how many tasks and workers of a queue the leader knows.
type Count struct {
	Queue string // "" is the default one

	Pending   int // in no worker's list, and to be executed
	Running   int // in a worker's list
	Done      int // and not collected
	Failed    int // and not collected
	Malformed int // or not to be read

	Free     int // workers that have no task
	Busy     int // workers that have some
	Draining int // of those, who get no more

	// Oldest is when the oldest of the pending tasks was submitted, by its client's clock as
	// its id tells; the zero time if none waits whose id a client made.
	Oldest time.Time
}

// Counts counts all that is known, by the names of the queues. It takes time in the number
// of tasks: 5 to 8 ms for 100,000.
func (s *Scheduler) Counts() []Count {
	counts := make(map[*queue]*Count, len(s.queues))
	for name, q := range s.queues {
		counts[q] = &Count{Queue: name, Oldest: q.oldest()}
	}
	for _, t := range s.tasks {
		c := counts[t.queue]
		switch t.told() {
		case "pending":
			c.Pending++
		case "running":
			c.Running++
		case "done":
			c.Done++
		case "failed":
			c.Failed++
		default:
			c.Malformed++
		}
	}
	for _, w := range s.workers {
		c := counts[w.queue]
		switch {
		case w.state == newcomer, w.state == unusable, w.state == malformed:
			continue
		case len(w.list) > 0:
			c.Busy++
		default:
			c.Free++
		}
		if len(s.drains.Of(w.id)) > 0 {
			c.Draining++
		}
	}
	var all []Count
	for _, c := range counts {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Compare(a.Queue, b.Queue) })
	return all
}

// oldest is when the oldest of the pending tasks was submitted.
func (q *queue) oldest() (at time.Time) {
	earlier := func(id string) {
		if made := task.ParseName(id).Made; !made.IsZero() && (at.IsZero() || made.Before(at)) {
			at = made
		}
	}
	for _, s := range q.pending.submitter {
		if id, ok := s.tasks.Min(); ok {
			earlier(id)
		}
	}
	q.lastAttempts.Ascend(func(id string) bool {
		earlier(id)
		return true
	})
	return at
}
