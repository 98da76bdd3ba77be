package sched

import "time"

// View is what the leader knows, for people to look at.
type View struct {
	Queues  []Count
	Workers []Holder
	Totals  Totals
}

// Holder is a worker, and the tasks in its list.
type Holder struct {
	ID       string
	Queue    string
	Tasks    []string  // the first of them, at most mostShown: that one is executed
	More     int       // further tasks in its list
	Since    time.Time // its list last changed
	Draining bool
}

// mostShown is how many tasks of a worker are shown.
const mostShown = 4

// Totals count since this leader began. Differences of two tell what happened between them.
type Totals struct {
	Assigned int           // tasks
	Waited   time.Duration // those, from submission, by their clients' clocks
	Released int           // tasks that left their worker's list: most of them finished
	Held     time.Duration // those, from their assignment
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

// View copies what is known. It takes as long as Counts.
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

// Totals are those so far.
func (s *Scheduler) Totals() Totals { return s.totals }
