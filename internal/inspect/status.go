package inspect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"taskkeeper/internal/access"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/task"
)

// Status is a summary of the tree. `client status --json` prints it: the names of the fields
// stay. Seconds are numbers, times RFC 3339.
type Status struct {
	Time       time.Time      `json:"time"`     // when it was read, by this machine's clock
	Leader     *LeaderStatus  `json:"leader"`   // null: there is none, or /master may not be read
	Backups    []LeaderStatus `json:"backups"`  // in the order in which they will lead; null: /master may not be read
	Workers    *WorkersStatus `json:"workers"`  // null: /workers may not be read
	Tasks      *TasksStatus   `json:"tasks"`    // null: /tasks may not be read
	Drains     []DrainStatus  `json:"drains"`   // by name; null: /drain may not be read
	Protocol   *int           `json:"protocol"` // that all programs must speak; null: unknown
	Versions   []Version      `json:"versions"` // of all masters and workers; null: /members may not be read
	Unreadable []string       `json:"unreadable,omitempty"`
	Warnings   []Warning      `json:"warnings"`

	bySlot bool // Text lists each worker
}

// Filter selects the workers and tasks of a Status. The zero value selects all.
type Filter struct {
	Hosts []string // workers of these hosts; none: of all
	Queue *string  // workers and tasks of this queue; nil: of all
}

// LeaderStatus is a candidate.
type LeaderStatus struct {
	Candidate string    `json:"candidate"` // its znode
	Who       string    `json:"who"`       // its data: "host:pid"
	Since     time.Time `json:"since"`     // since when it leads or is a backup; of a leader made by hand: when it joined
	Seconds   float64   `json:"seconds"`   // since then
	Version   string    `json:"version"`   // of the program; "": unknown
}

// WorkersStatus counts and lists the workers: the busy ones first, and of these the longest
// busy ones.
type WorkersStatus struct {
	Total    int            `json:"total"`
	Busy     int            `json:"busy"`
	Free     int            `json:"free"`
	Draining int            `json:"draining"` // of those busy or free
	List     []WorkerStatus `json:"list"`
}

// WorkerStatus is a worker. It executes the first of its tasks; the others queue.
type WorkerStatus struct {
	ID       string    `json:"id"`
	Queue    string    `json:"queue"` // "" is the default queue
	Host     string    `json:"host"`  // from its name; of one made by hand the whole name behind the queue
	PID      int       `json:"pid"`   // 0: made by hand
	Tasks    []string  `json:"tasks"` // none: it is free
	Since    time.Time `json:"since"` // its list last changed
	Seconds  float64   `json:"seconds"`
	Version  string    `json:"version"`  // of its program; "": unknown
	Draining bool      `json:"draining"` // it gets no more tasks
	Drained  bool      `json:"drained"`  // it is draining and has no tasks, and the leader has written so

	session int64
}

// TasksStatus counts tasks.
type TasksStatus struct {
	Total         int      `json:"total"`
	Pending       int      `json:"pending"`                // in no worker's list; not finished, if the lists may not be read
	OldestPending *float64 `json:"oldest_pending_seconds"` // since its submission; null: none waits
	Running       *int     `json:"running"`                // in a worker's list; null: the lists may not be read
	Done          int      `json:"done"`                   // and not collected yet
	Failed        int      `json:"failed"`                 // and not collected yet
	Malformed     int      `json:"malformed"`              // no valid state or name, or a read error

	waits map[string]int // pending tasks, by queue
}

// Warning is something that a person should look at.
type Warning struct {
	Znode string `json:"znode,omitempty"` // without the chroot; "": about the whole installation
	Text  string `json:"text"`
}

// Summarize makes a status of the workers and tasks that only selects.
func Summarize(t *Tree, now time.Time, only Filter) Status {
	s := Status{Time: now.Truncate(time.Millisecond), bySlot: len(only.Hosts) > 0}
	now, s.Warnings = t.clocks(now)
	s.Warnings = append([]Warning{}, s.Warnings...) // no null in JSON
	if t.Access.Err != nil {
		s.warn(access.Znode, "%s; until then no program creates anything", t.Access.why())
	}
	for _, d := range t.Dirs {
		if d.Err != nil {
			s.Unreadable = append(s.Unreadable, d.Name)
			s.warn(d.Name, "%s", t.Access.unreadable(d.Err))
		}
	}
	if s.reads(task.MembersDir) {
		s.summarizeMembers(t)
	}
	if s.reads(task.MasterDir) {
		s.summarizeCandidates(t, now)
		if s.Leader == nil && t.Access.Err == nil {
			s.warn("", "there is no leader: start a master")
		}
	}
	if s.reads(task.WorkersDir) {
		s.summarizeWorkers(t, now, only)
	}
	if s.reads(task.DrainDir) {
		s.summarizeDrains(t, now, only)
	}
	if s.reads(task.TasksDir) {
		s.summarizeTasks(t, now, only)
	}
	if s.reads(task.WorkersDir) {
		s.warnOfWorkers(t, only)
	}
	s.warnOfZnodes(t)
	return s
}

func (s *Status) warn(znode, format string, args ...any) {
	s.Warnings = append(s.Warnings, Warning{znode, fmt.Sprintf(format, args...)})
}

// warnOfWorkers warns of tasks that no worker takes.
func (s *Status) warnOfWorkers(t *Tree, only Filter) {
	all := t.crew(nil)
	for _, host := range only.Hosts {
		if !slices.ContainsFunc(s.Workers.List, func(w WorkerStatus) bool { return w.Host == host }) {
			s.warn("", "no worker of host %s is registered%s", name(host), dottedHost(host))
		}
	}
	if all.total == 0 && t.Access.Err == nil {
		s.warn("", "there is no worker: start one")
	}
	if all.total == 0 || s.Tasks == nil {
		return
	}
	for _, queue := range slices.Sorted(maps.Keys(s.Tasks.waits)) {
		switch crew := t.crew(&queue); {
		case crew.total == 0:
			s.warn("", "%s pending: %s", count(s.Tasks.waits[queue], "task"), NoWorker(queue, all.total))
		case crew.total == crew.draining:
			s.warn("", "%s pending: %s", count(s.Tasks.waits[queue], "task"), AllDrained(queue, crew.total, crew.drains))
		}
	}
}

// warnOfZnodes warns of znodes that are no candidate, no worker or no task.
func (s *Status) warnOfZnodes(t *Tree) {
	for _, c := range t.Candidates {
		path := task.MasterDir + "/" + c.Name
		switch {
		case c.Err != nil:
			s.warn(path, "%s", t.Access.unreadable(c.Err))
		case c.Owner == 0:
			s.warn(path, "%s", notEphemeralCandidate)
		}
	}
	for _, z := range t.Strangers {
		s.warn(task.MasterDir+"/"+z.Name, "%s", noCandidate)
	}
	for i := range t.Workers {
		w := &t.Workers[i]
		switch {
		case w.Err != nil:
			s.warn(task.WorkerPath(w.Name), "%s", t.Access.unreadable(w.Err))
		case w.Owner == 0:
			s.warn(task.WorkerPath(w.Name), "%s", notEphemeralWorker)
		case w.Malformed != nil:
			s.warn(task.WorkerPath(w.Name), "%s", noList(w.Malformed))
		}
	}
	for _, d := range t.Drains {
		if d.Err != nil {
			s.warn(task.DrainPath(d.Name), "%s", t.Access.unreadable(d.Err))
		}
	}
	for _, m := range t.Members {
		if m.Err != nil && !t.Access.secret(task.MemberPath(m.Name), m.Err) {
			s.warn(task.MemberPath(m.Name), "%s", t.Access.unreadable(m.Err))
		}
	}
	for i := range t.Tasks {
		if x := &t.Tasks[i]; !x.wellFormed() {
			s.warn(task.StatePath(x.Name), "%s", malformed(x))
		}
	}
}

const (
	notEphemeralCandidate = "not ephemeral: no session ends this candidate, it keeps its place until it is deleted"
	notEphemeralWorker    = "not ephemeral: it is no worker, and nothing is assigned to it"
	noCandidate           = "no candidate: its name does not end in ten digits"
)

func noList(err error) string {
	return err.Error() + ": it is no worker, and nothing is assigned to it"
}

func unreadable(err error) string {
	return "may not be read: " + printable.Line(printable.Cut(err.Error(), 300)) // the error names the znode
}

// reads reports whether a permanent znode may be read.
func (s *Status) reads(dir string) bool { return !slices.Contains(s.Unreadable, dir) }

// malformed says why a znode is no task.
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
	members := t.bySession()
	for i, c := range t.Candidates {
		l := LeaderStatus{Candidate: task.MasterDir + "/" + c.Name, Who: c.Who, Since: c.Created, Version: members[c.Owner].Version}
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

func (s *Status) summarizeWorkers(t *Tree, now time.Time, only Filter) {
	n := &WorkersStatus{List: []WorkerStatus{}}
	s.Workers = n
	members, drains, drained := t.bySession(), t.draining(), make(map[string]bool)
	for i := range t.Drains {
		drained[t.Drains[i].Name] = t.Drains[i].Drained
	}
	for i := range t.Workers {
		w := &t.Workers[i]
		queue, host, pid := task.ParseWorkerName(w.Name)
		if !w.usable() || !only.worker(queue, host) {
			continue
		}
		one := WorkerStatus{
			ID: w.Name, Queue: queue, Host: host, PID: pid, Tasks: append([]string{}, w.Tasks...), // no null in JSON
			Since: w.Modified, Seconds: seconds(since(now, w.Modified)), Version: members[w.Owner].Version, session: w.Owner,
		}
		for _, name := range drains.Of(w.Name) {
			one.Draining = true
			one.Drained = one.Drained || drained[name] && len(w.Tasks) == 0
		}
		n.Total++
		if len(w.Tasks) > 0 {
			n.Busy++
		}
		if one.Draining {
			n.Draining++
		}
		n.List = append(n.List, one)
	}
	n.Free = n.Total - n.Busy
	slices.SortStableFunc(n.List, func(a, b WorkerStatus) int {
		return cmp.Or(cmp.Compare(min(1, len(b.Tasks)), min(1, len(a.Tasks))), a.Since.Compare(b.Since))
	})
}

// worker reports whether the filter selects a worker.
func (f Filter) worker(queue, host string) bool {
	return (len(f.Hosts) == 0 || slices.Contains(f.Hosts, host)) && f.queue(queue)
}

func (f Filter) queue(queue string) bool { return f.Queue == nil || *f.Queue == queue }

func (s *Status) summarizeTasks(t *Tree, now time.Time, only Filter) {
	held, running := t.holders(), 0
	n := &TasksStatus{waits: make(map[string]int)}
	s.Tasks = n
	if s.reads(task.WorkersDir) {
		n.Running = &running
	}
	for i := range t.Tasks {
		x := &t.Tasks[i]
		if !only.queue(x.queue()) {
			continue
		}
		n.Total++
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
