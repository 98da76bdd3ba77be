package inspect

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"taskkeeper/internal/task"
)

// shown is how many items of a kind a text lists.
const shown = 10

// Text is the status for people.
func (s Status) Text() string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s%s\n", label, fmt.Sprintf(format, args...))
	}
	for1 := func(sec float64) string { return age(time.Duration(sec * float64(time.Second))) }
	const secret = "may not be read"
	switch {
	case !s.reads(task.MasterDir):
		line("leader", secret)
	case s.Leader == nil:
		line("leader", "none")
	default:
		line("leader", "%s, for %s: %s", name(s.Leader.Who), for1(s.Leader.Seconds), name(s.Leader.Candidate))
	}
	var who []string
	for _, c := range s.Backups[:min(shown, len(s.Backups))] {
		who = append(who, name(c.Who))
	}
	if s.Backups != nil {
		line("backups", "%s", list(len(s.Backups), strings.Join(who, ", ")))
	}
	w := s.Workers
	if w == nil {
		w = new(WorkersStatus)
		line("workers", secret)
	} else {
		what := fmt.Sprintf("%d busy, %d free", w.Busy, w.Free)
		if w.Draining > 0 {
			what += fmt.Sprintf("; %d of them draining or drained", w.Draining)
		}
		line("workers", "%s", list(w.Total, what))
	}
	if s.Tasks == nil {
		line("tasks", secret)
	} else {
		line("tasks", "%s", list(s.Tasks.Total, s.Tasks.text(for1)))
	}
	if slices.ContainsFunc(s.Versions, func(v Version) bool { return v.Version != "" }) {
		line("versions", "%s", versionsText(s.Versions))
	}
	for _, d := range s.Drains[:min(shown, len(s.Drains))] {
		line("drain", "%s", d.text(for1))
	}
	more(&b, len(s.Drains))

	if w.Total > 0 {
		b.WriteByte('\n')
		s.processes(&b, for1)
		if s.bySlot {
			b.WriteByte('\n')
			w.slots(&b, for1)
		}
	}
	if len(s.Warnings) > 0 {
		b.WriteByte('\n')
		for _, x := range s.Warnings[:min(shown, len(s.Warnings))] {
			if x.Znode != "" {
				x.Text = name(x.Znode) + ": " + x.Text
			}
			line("warning", "%s", x.Text)
		}
		more(&b, len(s.Warnings))
	}
	return b.String()
}

// queues reports whether any worker or pending task has a named queue.
func (s Status) queues() bool {
	if s.Workers != nil && slices.ContainsFunc(s.Workers.List, func(w WorkerStatus) bool { return w.Queue != "" }) {
		return true
	}
	if s.Tasks != nil {
		for queue := range s.Tasks.waits {
			if queue != "" {
				return true
			}
		}
	}
	return false
}

// process is the workers (slots) of one process. A worker made by hand is a process by itself.
type process struct {
	WorkerStatus      // the first one of WorkersStatus.List: busy for the longest time
	slots, busy       int
	draining, drained int
	tasks             int
}

// byProcess groups the workers by process, sorted by host, queue and process id.
func (w *WorkersStatus) byProcess() []*process {
	type key struct {
		host, queue string
		pid         int
		session     int64
	}
	var all []*process
	found := make(map[key]*process)
	for _, one := range w.List {
		k := key{one.Host, one.Queue, one.PID, one.session}
		p := found[k]
		if p == nil {
			p = &process{WorkerStatus: one}
			found[k] = p
			all = append(all, p)
		}
		p.slots++
		p.busy += min(1, len(one.Tasks))
		p.tasks += len(one.Tasks)
		if one.Draining {
			p.draining++
		}
		if one.Drained {
			p.drained++
		}
		if len(p.Tasks) == 0 {
			p.Seconds = one.Seconds // all are free since the last one became free
		}
	}
	slices.SortStableFunc(all, func(a, b *process) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.PID, b.PID))
	})
	return all
}

// drain says whether its slots are drained.
func (p *process) drain() string {
	switch {
	case p.draining == 0:
		return "-"
	case p.draining < p.slots:
		return fmt.Sprintf("%d of %d", p.draining, p.slots)
	case p.drained == p.slots:
		return "drained"
	}
	return "draining"
}

// processes lists all processes. Columns that would be empty are left out.
func (s Status) processes(out io.Writer, for1 func(float64) string) {
	t := newTable(out)
	queues := s.queues()
	drains := slices.ContainsFunc(s.Workers.List, func(w WorkerStatus) bool { return w.Draining })
	row := func(host, process, queue, busy, drain, version, has, since string) {
		cells := []string{host, process}
		if queues {
			cells = append(cells, queue)
		}
		cells = append(cells, busy)
		if drains {
			cells = append(cells, drain)
		}
		t.row(append(cells, version, has, since)...)
	}
	row("host", "process", "queue", "busy", "drain", "version", "has", "for")
	for _, p := range s.Workers.byProcess() {
		pid, queue := "-", "-"
		if p.PID > 0 {
			pid = fmt.Sprint(p.PID)
		}
		if p.Queue != "" {
			queue = name(p.Queue)
		}
		row(name(p.Host), pid, queue, fmt.Sprintf("%d/%d", p.busy, p.slots), p.drain(), version(p.Version), has(p.Tasks, p.tasks), for1(p.Seconds))
	}
	t.flush()
}

// slots lists each worker.
func (w *WorkersStatus) slots(out io.Writer, for1 func(float64) string) {
	t := newTable(out)
	t.row("worker", "has", "for")
	for _, one := range w.List {
		t.row(name(one.ID), has(one.Tasks, len(one.Tasks)), for1(one.Seconds))
	}
	t.flush()
}

// has is the first of some tasks, and how many more there are.
func has(tasks []string, all int) string {
	switch {
	case len(tasks) == 0:
		return "nothing"
	case all == 1:
		return name(tasks[0])
	}
	return fmt.Sprintf("%s and %d more", name(tasks[0]), all-1)
}

// table is lines with columns.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) table { return table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

func (t table) flush() { _ = t.w.Flush() } // into memory

func (n *TasksStatus) text(for1 func(float64) string) string {
	parts := []string{fmt.Sprintf("%d pending", n.Pending)}
	if n.Running == nil {
		parts[0] += " or running"
	}
	if n.OldestPending != nil {
		parts[0] += " (the oldest for " + for1(*n.OldestPending) + ")"
	}
	if n.Running != nil {
		parts = append(parts, fmt.Sprintf("%d running", *n.Running))
	}
	if n.Done+n.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d done and %d failed, not collected", n.Done, n.Failed))
	}
	if n.Malformed > 0 {
		parts = append(parts, fmt.Sprintf("%d malformed", n.Malformed))
	}
	return strings.Join(parts, ", ")
}

// list is a number, and what it is made of.
func list(n int, what string) string {
	switch {
	case n == 0:
		return "none"
	case what == "":
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d: %s", n, what)
}

func more(b *strings.Builder, n int) {
	if n > shown {
		fmt.Fprintf(b, "and %d more\n", n-shown)
	}
}
