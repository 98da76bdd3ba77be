package sched

import (
	"cmp"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// Count is how many tasks and workers of a queue the leader knows.
type Count struct {
	Queue string // "" is the default queue

	Pending   int // in no worker's list, and to be executed
	Running   int // in a worker's list
	Done      int // not collected yet
	Failed    int // not collected yet
	Malformed int // or not readable

	Free     int // workers without a task
	Busy     int // workers with tasks
	Draining int // of Free and Busy, those that get no more tasks

	// Oldest is when the oldest pending task was submitted, by its client's clock: the id
	// holds that time. Zero if no client made the id of a pending task.
	Oldest time.Time
}

// Counts counts the known tasks and workers, sorted by queue. Its time grows with the
// number of tasks: 5 to 8 ms for 100,000.
func (s *Scheduler) Counts() []Count {
	counts := make(map[*queue]*Count, len(s.queues))
	for name, q := range s.queues {
		counts[q] = &Count{Queue: name, Oldest: q.oldest()}
	}
	for _, t := range s.tasks {
		c := counts[t.queue]
		switch t.shown() {
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

// oldest is when the oldest pending task was submitted; see Count.
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
