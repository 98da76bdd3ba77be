package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/load"
)

// hit is a fault that was carried out.
type hit struct {
	fault
	name   string // of the program that it met
	led    bool   // which was the leader
	began  time.Time
	served time.Time // server: it answers again
}

// recovery is how long work took to resume after faults of one sort.
type recovery struct {
	what  string
	times []time.Duration
}

func (r recovery) median() time.Duration { return load.Quantile(r.times, 0.5) }

func (r recovery) worst() time.Duration { return slices.Max(r.times) }

// recoveries finds in the programs' logs when work resumed after each fault:
//
//   - the leader: from the fault to the next assignment, by whoever leads then;
//   - a worker: from the fault to the new assignment of each task that it held,
//     if there was one;
//   - the server: from the fault until it answers, and from then to the next assignment.
//
// Another fault may come in between, and then the time is that of both.
func recoveries(hits []hit, events []harness.Event) []recovery {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b harness.Event) int { return a.Time.Compare(b.Time) })
	times := make(map[string][]time.Duration)
	add := func(h hit, sort string, took time.Duration) {
		what := fmt.Sprintf("%s: %s", sort, h.kind)
		if h.kind == stop || h.kind == silence || h.kind == cut {
			if h.lasts < sessionTimeout {
				what += ", shorter than the session timeout"
			} else {
				what += ", longer than the session timeout"
			}
		}
		times[what] = append(times[what], took)
	}
	for _, h := range hits {
		switch {
		case h.kind == request, h.kind == reply: // they come when they come
		case h.target == server && !h.served.IsZero():
			add(h, "the server itself, until it answers", h.served.Sub(h.began))
			if at, ok := next(events, h.served, ""); ok {
				add(h, "the server's return", at.Sub(h.served))
			}
		case h.led:
			if at, ok := next(events, h.began, ""); ok {
				add(h, "the leader", at.Sub(h.began))
			}
		case h.target == workers:
			for _, id := range heldBy(events, h.name, h.began) {
				if at, ok := next(events, h.began, id); ok {
					add(h, "a worker", at.Sub(h.began))
				}
			}
		}
	}
	var out []recovery
	for what, t := range times {
		out = append(out, recovery{what, t})
	}
	slices.SortFunc(out, func(a, b recovery) int { return cmp.Compare(a.what, b.what) })
	return out
}

func isAssignment(e harness.Event) bool {
	return strings.HasPrefix(e.From, "master") && strings.HasPrefix(e.Msg, "assigned")
}

// next finds the first assignment after a moment, of a task or of any.
func next(events []harness.Event, after time.Time, task string) (time.Time, bool) {
	i, _ := slices.BinarySearchFunc(events, after, func(e harness.Event, t time.Time) int { return e.Time.Compare(t) })
	for _, e := range events[i:] {
		if isAssignment(e) && e.Time.After(after) && (task == "" || e.Task == task) {
			return e.Time, true
		}
	}
	return time.Time{}, false
}

// heldBy lists the tasks that were assigned to a worker program and not executed
// yet at a moment.
func heldBy(events []harness.Event, name string, at time.Time) []string {
	program := make(map[string]string) // by worker id
	holder := make(map[string]string)  // by task
	for _, e := range events {
		switch {
		case e.Time.After(at):
		case e.Msg == "registered":
			program[e.Worker] = e.From
		case isAssignment(e):
			holder[e.Task] = e.Worker
		case e.Msg == "task done", e.Msg == "task failed", strings.HasPrefix(e.Msg, "task was taken away"):
			delete(holder, e.Task)
		}
	}
	var ids []string
	for id, w := range holder {
		if program[w] == name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
