package inspect

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"taskkeeper/internal/printable"
	"taskkeeper/internal/task"
)

// Status is a summary of the tree, and as JSON what `client status --json` prints:
// the names of the fields stay. Seconds are numbers, times RFC 3339.
type Status struct {
	Time       time.Time      `json:"time"`    // when it was read, by this machine's clock
	Leader     *LeaderStatus  `json:"leader"`  // null: there is none, or /master may not be read
	Backups    []LeaderStatus `json:"backups"` // in the order in which they will lead; null: /master may not be read
	Workers    *WorkersStatus `json:"workers"` // null: /workers may not be read
	Tasks      *TasksStatus   `json:"tasks"`   // null: /tasks may not be read
	Unreadable []string       `json:"unreadable,omitempty"`
	Warnings   []Warning      `json:"warnings"`
}

// LeaderStatus is a candidate.
type LeaderStatus struct {
	Candidate string    `json:"candidate"` // its znode
	Who       string    `json:"who"`       // what it says: "host:pid"
	Since     time.Time `json:"since"`     // it leads, or has been a backup; a leader by hand: it joined
	Seconds   float64   `json:"seconds"`   // since then
}

// WorkersStatus is how many workers there are, and all of them: the busy ones
// first, those that have been longest at it.
type WorkersStatus struct {
	Total int            `json:"total"`
	Busy  int            `json:"busy"`
	Free  int            `json:"free"`
	List  []WorkerStatus `json:"list"`
}

// WorkerStatus is a worker. It executes the first of its tasks; the others queue.
type WorkerStatus struct {
	ID      string    `json:"id"`
	Queue   string    `json:"queue"` // whose tasks it takes; "" is the default queue
	Host    string    `json:"host"`  // from its name; of one made by hand all that stands behind the queue
	PID     int       `json:"pid"`   // 0: made by hand
	Tasks   []string  `json:"tasks"` // none: it is free
	Since   time.Time `json:"since"` // its list last changed
	Seconds float64   `json:"seconds"`
}

// TasksStatus counts tasks.
type TasksStatus struct {
	Total         int      `json:"total"`
	Pending       int      `json:"pending"`                // in no worker's list; not finished, if the lists may not be read
	OldestPending *float64 `json:"oldest_pending_seconds"` // since its submission; null: none waits
	Running       *int     `json:"running"`                // in a worker's list; null: the lists may not be read
	Done          int      `json:"done"`                   // and not collected yet
	Failed        int      `json:"failed"`                 // and not collected yet
	Malformed     int      `json:"malformed"`              // no state, no name, or not to be read

	waits map[string]int // those pending, by queue
}

// Warning is something that a person should look at.
type Warning struct {
	Znode string `json:"znode,omitempty"` // without the chroot; none: it is about the whole
	Text  string `json:"text"`
}

// Summarize makes a status of the tree.
func Summarize(t *Tree, now time.Time) Status {
	s := Status{Time: now.Truncate(time.Millisecond)}
	now, s.Warnings = t.clocks(now)
	s.Warnings = append([]Warning{}, s.Warnings...) // no null in JSON
	warn := func(znode, format string, args ...any) {
		s.Warnings = append(s.Warnings, Warning{znode, fmt.Sprintf(format, args...)})
	}
	for _, d := range t.Dirs {
		if d.Err != nil {
			s.Unreadable = append(s.Unreadable, d.Name)
			warn(d.Name, "%s", unreadable(d.Err))
		}
	}
	if s.reads(task.MasterDir) {
		s.summarizeCandidates(t, now)
		if s.Leader == nil {
			warn("", "there is no leader: start a master")
		}
	}
	if s.reads(task.WorkersDir) {
		s.summarizeWorkers(t, now)
		if s.Workers.Total == 0 {
			warn("", "there is no worker: start one")
		}
	}
	if s.reads(task.TasksDir) {
		s.summarizeTasks(t, now)
	}
	if s.Workers != nil && s.Workers.Total > 0 && s.Tasks != nil {
		for _, queue := range slices.Sorted(maps.Keys(s.Tasks.waits)) {
			if all, _ := t.workersOf(queue); all == 0 {
				warn("", "%s pending: %s", count(s.Tasks.waits[queue], "task"), NoWorker(queue, s.Workers.Total))
			}
		}
	}
	for _, c := range t.Candidates {
		path := task.MasterDir + "/" + c.Name
		switch {
		case c.Err != nil:
			warn(path, "%s", unreadable(c.Err))
		case c.Owner == 0:
			warn(path, "%s", notEphemeralCandidate)
		}
	}
	for _, z := range t.Strangers {
		warn(task.MasterDir+"/"+z.Name, "%s", noCandidate)
	}
	for i := range t.Workers {
		w := &t.Workers[i]
		switch {
		case w.Err != nil:
			warn(task.WorkerPath(w.Name), "%s", unreadable(w.Err))
		case w.Owner == 0:
			warn(task.WorkerPath(w.Name), "%s", notEphemeralWorker)
		case w.Odd != nil:
			warn(task.WorkerPath(w.Name), "%s", noList(w.Odd))
		}
	}
	for i := range t.Tasks {
		if x := &t.Tasks[i]; !x.wellFormed() {
			warn(task.StatePath(x.Name), "%s", malformed(x))
		}
	}
	return s
}

const (
	notEphemeralCandidate = "not ephemeral: no session ends this candidate, it keeps its place until it is deleted"
	notEphemeralWorker    = "not ephemeral: no worker, nothing is assigned to it"
	noCandidate           = "no candidate: its name does not end in ten digits"
)

func noList(err error) string { return err.Error() + ": no worker, nothing is assigned to it" }

func unreadable(err error) string {
	return "may not be read: " + printable.Line(printable.Cut(err.Error(), 300)) // it names the znode
}

// reads tells whether a permanent znode may be read.
func (s *Status) reads(dir string) bool { return !slices.Contains(s.Unreadable, dir) }

// malformed tells why a task is none.
func malformed(x *Task) string {
	switch {
	case x.Err != nil:
		return unreadable(x.Err)
	case !task.ValidID(x.Name):
		return "a malformed name, which cannot stand in a worker's list: it is never assigned"
	}
	return fmt.Sprintf("malformed: its state is none of pending, done and failed, but %s: it is never assigned", x.Text)
}

func (s *Status) summarizeCandidates(t *Tree, now time.Time) {
	s.Backups = []LeaderStatus{}
	for i, c := range t.Candidates {
		l := LeaderStatus{Candidate: task.MasterDir + "/" + c.Name, Who: c.Who, Since: c.Created}
		if i == 0 {
			l.Since = c.Modified
		}
		l.Seconds = seconds(since(now, l.Since))
		if i == 0 {
			s.Leader = &l
		} else {
			s.Backups = append(s.Backups, l)
		}
	}
}

func (s *Status) summarizeWorkers(t *Tree, now time.Time) {
	s.Workers = &WorkersStatus{List: []WorkerStatus{}}
	for i := range t.Workers {
		w := &t.Workers[i]
		if !w.usable() {
			continue
		}
		tasks := w.Tasks
		if tasks == nil {
			tasks = []string{}
		}
		queue, host, pid := task.ParseWorkerName(w.Name)
		s.Workers.List = append(s.Workers.List, WorkerStatus{w.Name, queue, host, pid, tasks, w.Modified, seconds(since(now, w.Modified))})
	}
	s.Workers.Total, s.Workers.Free = t.workers()
	s.Workers.Busy = s.Workers.Total - s.Workers.Free
	slices.SortStableFunc(s.Workers.List, func(a, b WorkerStatus) int {
		return cmp.Or(cmp.Compare(min(1, len(b.Tasks)), min(1, len(a.Tasks))), a.Since.Compare(b.Since))
	})
}

func (s *Status) summarizeTasks(t *Tree, now time.Time) {
	held, running := t.holders(), 0
	n := &TasksStatus{Total: len(t.Tasks), waits: make(map[string]int)}
	s.Tasks = n
	if s.reads(task.WorkersDir) {
		n.Running = &running
	}
	for i := range t.Tasks {
		x := &t.Tasks[i]
		switch {
		case !x.wellFormed():
			n.Malformed++
		case x.Phase == task.Done:
			n.Done++
		case x.Phase == task.Failed:
			n.Failed++
		case len(held[x.Name]) > 0:
			running++
		default:
			n.Pending++
			n.waits[x.queue()]++
			if a := seconds(since(now, x.Created)); n.OldestPending == nil || a > *n.OldestPending {
				n.OldestPending = &a
			}
		}
	}
}

// shown is how many of the same kind a text lists.
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
		line("workers", "%s", list(w.Total, fmt.Sprintf("%d busy, %d free", w.Busy, w.Free)))
	}
	if s.Tasks == nil {
		line("tasks", secret)
	} else {
		line("tasks", "%s", list(s.Tasks.Total, s.Tasks.text(for1)))
	}

	if w.Total > 0 {
		b.WriteByte('\n')
		w.table(&b, s.queues(), for1)
		more(&b, w.Total)
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

// queues tells whether any worker, or any task that waits, is in a queue.
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

// table lists the first workers.
func (w *WorkersStatus) table(out io.Writer, queues bool, for1 func(float64) string) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(queue, worker, has, since string) {
		if queues {
			worker = queue + "\t" + worker
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", worker, has, since)
	}
	row("queue", "worker", "has", "for")
	for _, one := range w.List[:min(shown, w.Total)] {
		queue, has := "-", "nothing"
		if one.Queue != "" {
			queue = name(one.Queue)
		}
		if len(one.Tasks) > 0 {
			has = name(one.Tasks[0])
		}
		if n := len(one.Tasks) - 1; n > 0 {
			has += fmt.Sprintf(" and %d more", n)
		}
		row(queue, name(process(one.Host, one.PID)), has, for1(one.Seconds))
	}
	_ = tw.Flush() // into memory
}

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
