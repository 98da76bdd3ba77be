package sched

import "time"

// View is what the leader knows, for people.
type View struct {
	Queues  []Count
	Workers []Holder
	Totals  Totals
}

// Holder is a worker, and the tasks in its list.
type Holder struct {
	ID       string
	Queue    string
	Tasks    []string  // at most mostShown; the first one is executed
	More     int       // further tasks in its list
	Since    time.Time // when its list was last written
	Draining bool
}

// mostShown is how many tasks of a worker a View holds: a page shows no more.
const mostShown = 4

// Totals count since this leader was elected. The difference of two Totals shows what
// happened between them.
type Totals struct {
	Assigned int           // tasks
	Waited   time.Duration // the sum of their times since submission, by their clients' clocks
	Released int           // tasks that left their worker's list; most of them are finished
	Held     time.Duration // the sum of their times since assignment
}

func (t *Totals) assigned(made, now time.Time) {
	t.Assigned++
	if !made.IsZero() {
		t.Waited += max(0, now.Sub(made))
	}
}

func (t *Totals) released(since, now time.Time) {
	t.Released++
	if !since.IsZero() {
		t.Held += now.Sub(since)
	}
}

// View copies what the scheduler knows. It takes as long as Counts.
func (s *Scheduler) View() View {
	v := View{Queues: s.Counts(), Totals: s.totals}
	for _, w := range s.workers {
		if w.state == newcomer || w.state == unusable || w.state == malformed {
			continue
		}
		n := min(len(w.list), mostShown)
		v.Workers = append(v.Workers, Holder{
			ID: w.id, Queue: w.queue.name, Since: w.changed, Draining: len(s.drains.Of(w.id)) > 0,
			Tasks: append([]string(nil), w.list[:n]...), More: len(w.list) - n,
		})
	}
	return v
}

// Totals returns the totals so far.
func (s *Scheduler) Totals() Totals { return s.totals }
