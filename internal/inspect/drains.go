package inspect

import (
	"fmt"
	"strings"
	"time"

	"taskkeeper/internal/task"
)

// DrainStatus is a child of /drain: its workers get no more tasks.
type DrainStatus struct {
	Name    string     `json:"name"`  // of a host, or "host:pid" of a process, or of a worker
	Since   *time.Time `json:"since"` // created; null: it may not be read
	Seconds float64    `json:"seconds"`
	Drained bool       `json:"drained"`        // the leader says that its workers have no tasks
	Note    string     `json:"note,omitempty"` // of a person
	Workers int        `json:"workers"`        // that it names; 0: none is registered now
	Busy    int        `json:"busy"`           // of these
}

func (s *Status) summarizeDrains(t *Tree, now time.Time, only Filter) {
	s.Drains = []DrainStatus{}
	type counts struct{ workers, busy, meant int }
	of := make(map[string]counts)
	draining := t.draining()
	for i := range t.Workers {
		w := &t.Workers[i]
		if !w.usable() {
			continue
		}
		queue, host, _ := task.ParseWorkerName(w.Name)
		for _, name := range draining.Of(w.Name) {
			n := of[name]
			n.workers++
			n.busy += min(1, len(w.Tasks))
			if only.worker(queue, host) {
				n.meant++
			}
			of[name] = n
		}
	}
	for _, d := range t.Drains {
		n := of[d.Name]
		if n.meant == 0 && !only.drain(d.Name, n.workers) {
			continue
		}
		one := DrainStatus{Name: d.Name, Drained: d.Drained, Note: d.Note, Workers: n.workers, Busy: n.busy}
		if d.Err == nil {
			one.Since, one.Seconds = &d.Created, seconds(since(now, d.Created))
		}
		s.Drains = append(s.Drains, one)
	}
}

// drain reports whether the filter selects a drain that names none of the present workers.
func (f Filter) drain(name string, workers int) bool {
	_, host, _ := task.ParseWorkerName(name)
	host, _, _ = strings.Cut(host, ":")
	return workers == 0 && f.worker("", host)
}

// text is the drain in a line.
func (d DrainStatus) text(for1 func(float64) string) string {
	if d.Since == nil {
		return name(d.Name) + ": " + d.state()
	}
	return fmt.Sprintf("%s, for %s: %s", name(d.Name), for1(d.Seconds), d.state())
}

func (d DrainStatus) state() string {
	if d.Note != "" {
		return d.progress() + ": " + inQuotes(d.Note)
	}
	return d.progress()
}

func (d DrainStatus) progress() string {
	switch {
	case d.Workers == 0:
		return "no worker there is registered"
	case d.Busy > 0:
		return fmt.Sprintf("draining, %d of %s busy", d.Busy, count(d.Workers, "worker"))
	case d.Drained:
		return "drained"
	}
	return "draining"
}

// AllDrained says that all n workers of a queue are drained, and by which drains.
func AllDrained(queue string, n int, drains []string) string {
	return allWorkers(n, queue, "", "drained") + ": " + task.Undrain(drains)
}
