package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"taskkeeper/internal/task"
)

// Options say how a history is judged.
type Options struct {
	Finished  bool          // everybody has left: nothing may remain
	Hands     []int64       // sessions that played a role by hand: what they did is not judged
	Retention time.Duration // of the masters: they remove nothing sooner; 0 if it is not known
}

// Check judges a history, which begins with an empty tree.
func Check(txns []Txn, o Options) Report {
	j := &judge{
		opts:       o,
		report:     Report{Txns: len(txns), Refused: make(map[int64]int)},
		candidates: make(map[string]candidate),
		workers:    make(map[string]*workerState),
		tasks:      make(map[string]*taskState),
		payloads:   make(map[string]*payload),
		drained:    make(map[string]bool),
		ephemerals: make(map[int64]int),
		ended:      make(map[int64]bool),
		ran:        make(map[int64]bool),
		used:       make(map[string]bool),
	}
	for i := range txns {
		j.take(&txns[i])
	}
	if o.Finished {
		j.finished()
	}
	return j.report
}

// judge replays a history. Of everything that ever was it remembers the name.
type judge struct {
	opts   Options
	report Report

	candidates map[string]candidate    // by name
	workers    map[string]*workerState // by id, also those that are gone
	tasks      map[string]*taskState   // by id, also those that are gone
	payloads   map[string]*payload     // by id, also those that are gone
	drained    map[string]bool         // children of /drain that say so
	ephemerals map[int64]int           // how many, by session
	ended      map[int64]bool          // sessions
	ran        map[int64]bool          // sessions that ever had a candidate
	used       map[string]bool         // names of candidates

	lowest candidate
	term   int // the lowest candidate's in report.Terms; -1 while it has written nothing
	since  time.Time

	// The transaction at hand.
	txn            *Txn
	changedTasks   []*taskChange
	changedWorkers []*workerChange
	changedData    []*payload
}

type candidate struct {
	name   string
	number int64
	owner  int64
}

type workerState struct {
	id     string
	exists bool
	used   bool
	owner  int64
	list   []string
	back   []string      // of list: those that it is asked to return
	change *workerChange // in the transaction at hand
}

type workerChange struct {
	now *workerState
	was workerState
}

type taskState struct {
	id       string
	exists   bool
	used     bool
	owner    int64
	phase    task.Phase
	since    time.Time // of its phase; when it is gone, of that
	losses   int
	reason   string // Failed
	asks     task.Facts
	holders  []string // the workers that list it
	vanished int      // how many workers vanished that listed it first
	assigned int
	orphans  []int // in report.Orphans, those not assigned again
	change   *taskChange
}

type taskChange struct {
	now     *taskState
	was     taskState
	set     bool
	retried bool // from failed to pending, if that is allowed to whoever did it
}

type payload struct {
	id      string
	exists  bool
	owner   int64
	created int64 // zxid
	since   time.Time
}

// leads tells whether the transaction's session owned the lowest candidate
// before it.
func (j *judge) leads() bool { return j.lowest.owner != 0 && j.lowest.owner == j.txn.Session }

func (j *judge) violation(rule Rule, znode, format string, args ...any) {
	if slices.Contains(j.opts.Hands, j.txn.Session) {
		return
	}
	j.report.Violations = append(j.report.Violations, Violation{rule, j.txn.Zxid, j.txn.Session, znode, fmt.Sprintf(format, args...)})
}

// take replays one transaction and judges it.
func (j *judge) take(t *Txn) {
	j.txn = t
	if t.Refused != 0 {
		if t.RefusedAt >= 0 {
			j.report.Refused[t.Session]++
		}
		if t.RefusedAt == 0 && t.Refused == NoNode && j.ran[t.Session] {
			j.report.Fenced++ // what a candidate writes begins with the fence
		}
		return
	}
	if j.ended[t.Session] && !t.closes() && len(t.Events) > 0 && t.Events[0].Op != OpenSession {
		j.violation(RuleSession, t.Events[0].Path, "%s after the session's end", t.Events[0].Op)
	}
	for _, e := range t.Events {
		j.event(e)
	}
	j.judgeTransaction()
	j.elect()
}

func (j *judge) event(e Event) {
	switch e.Op {
	case OpenSession:
		j.report.Sessions++
		delete(j.ended, j.txn.Session)
		return
	case CloseSession:
		j.ended[j.txn.Session] = true
		if j.txn.Expired {
			j.report.Expired++
		}
		if n := j.ephemerals[j.txn.Session]; n > 0 {
			j.violation(RuleSession, "", "%d of its znodes outlive the session", n)
		}
		return
	}
	dir, name, ok := strings.Cut(strings.TrimPrefix(e.Path, "/"), "/")
	if !ok || strings.Contains(name, "/") {
		return // none of the service's own
	}
	if e.Owner != 0 {
		switch e.Op {
		case Create:
			j.ephemerals[e.Owner]++
		case Delete:
			j.ephemerals[e.Owner]--
		}
	}
	switch "/" + dir {
	case task.MasterDir:
		j.candidate(name, e)
	case task.WorkersDir:
		j.worker(name, e)
	case task.TasksDir:
		j.task(name, e)
	case task.DataDir:
		j.payload(name, e)
	case task.DrainDir:
		j.drain(name, e)
	}
}

func (j *judge) candidate(name string, e Event) {
	number, ok := number(name)
	if !ok {
		return
	}
	switch e.Op {
	case Create:
		if j.used[name] {
			j.violation(RuleIDs, e.Path, "a candidate's name is used again")
		}
		if e.Owner == 0 {
			j.violation(RuleIDs, e.Path, "a candidate that is not ephemeral")
		}
		j.used[name], j.ran[e.Owner] = true, true
		j.candidates[name] = candidate{name, number, e.Owner}
	case Delete:
		delete(j.candidates, name)
	}
}

// number is the ten digits at the end of a candidate's name.
func number(name string) (int64, bool) {
	tail := name[max(0, len(name)-10):]
	if len(tail) < 10 || strings.Trim(tail, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(tail, 10, 64)
	return n, err == nil
}

func (j *judge) worker(id string, e Event) {
	w := j.touchWorker(id)
	l, _ := task.ParseList(e.Data) // what is no list holds nothing
	switch e.Op {
	case Create:
		if w.used {
			j.violation(RuleIDs, e.Path, "a worker's id is used again")
		}
		if e.Owner == 0 {
			j.violation(RuleIDs, e.Path, "a worker that is not ephemeral")
		}
		w.exists, w.used, w.owner = true, true, e.Owner
		j.setList(w, l)
		j.report.Workers++
	case Set:
		j.setList(w, l)
	case Delete:
		w.exists = false
		j.setList(w, task.List{})
	}
}

func (j *judge) setList(w *workerState, list task.List) {
	for _, id := range w.list {
		if !slices.Contains(list.IDs, id) {
			t := j.touchTask(id)
			t.holders = slices.DeleteFunc(slices.Clone(t.holders), func(h string) bool { return h == w.id })
		}
	}
	for _, id := range list.IDs {
		if !slices.Contains(w.list, id) {
			t := j.touchTask(id)
			t.holders = append(slices.Clone(t.holders), w.id)
		}
	}
	w.list, w.back = list.IDs, list.Back
}

func (j *judge) task(id string, e Event) {
	t := j.touchTask(id)
	state := task.ParseState(e.Data)
	switch e.Op {
	case Create:
		if t.used {
			j.violation(RuleIDs, e.Path, "a task's id is used again")
		}
		t.exists, t.used, t.owner, t.asks = true, true, e.Owner, state.Facts.Asked()
		t.phase, t.losses, t.since = state.Phase, state.Losses, j.txn.Time
		j.report.Created++
	case Set:
		switch {
		case t.change.set || t.change.retried:
			j.violation(RuleCommit, e.Path, "set twice in one transaction, at last to %.80q", e.Data)
		case t.phase == task.Failed && t.owner == 0 && state.Phase == task.Pending && state.Losses == 0:
			// What was lost before does not count for the new attempt.
			t.change.retried, t.vanished, t.orphans = true, 0, nil
		case finished(t.phase):
			j.violation(RuleCommit, e.Path, "%.80q overwrites a finished state, %s", e.Data, t.phase)
		default:
			t.change.set = true
		}
		if asks := state.Facts.Asked(); asks != t.asks {
			j.violation(RuleCommit, e.Path, "its submitter asks for %q, and %.80q does not hold that", t.asks, e.Data)
		}
		t.phase, t.losses, t.since = state.Phase, state.Losses, j.txn.Time
		t.reason = ""
		if state.Phase == task.Failed {
			t.reason = string(state.Text)
		}
	case Delete:
		t.exists, t.since = false, j.txn.Time
	}
}

func (j *judge) payload(id string, e Event) {
	p := j.payloads[id]
	if p == nil {
		p = &payload{id: id}
		j.payloads[id] = p
	}
	switch e.Op {
	case Create:
		if p.created != 0 {
			j.violation(RuleIDs, e.Path, "a payload's id is used again")
		}
		p.exists, p.owner, p.created, p.since = true, e.Owner, j.txn.Zxid, j.txn.Time
	case Set:
		j.violation(RuleIDs, e.Path, "a payload is changed, to %.80q", e.Data)
	case Delete:
		p.exists = false
	}
	j.changedData = append(j.changedData, p)
}

// touchTask returns a task that is about to change, or be in another list.
func (j *judge) touchTask(id string) *taskState {
	t := j.tasks[id]
	if t == nil {
		t = &taskState{id: id}
		j.tasks[id] = t
	}
	if t.change == nil {
		t.change = &taskChange{now: t, was: *t}
		j.changedTasks = append(j.changedTasks, t.change)
	}
	return t
}

func (j *judge) touchWorker(id string) *workerState {
	w := j.workers[id]
	if w == nil {
		w = &workerState{id: id}
		j.workers[id] = w
	}
	if w.change == nil {
		w.change = &workerChange{now: w, was: *w}
		j.changedWorkers = append(j.changedWorkers, w.change)
	}
	return w
}

// elect finds out who leads after the transaction.
func (j *judge) elect() {
	var lowest candidate
	for _, c := range j.candidates {
		if lowest.name == "" || c.number < lowest.number || c.number == lowest.number && c.name < lowest.name {
			lowest = c
		}
	}
	if lowest == j.lowest {
		return
	}
	if j.lowest.name != "" && j.term >= 0 {
		t := &j.report.Terms[j.term]
		t.Ended = j.txn.Time
		t.Expired = j.txn.closes() && j.txn.Expired
	}
	j.lowest, j.term, j.since = lowest, -1, j.txn.Time
}

// led takes down that the leader wrote.
func (j *judge) led() *Term {
	if j.term < 0 {
		j.term = len(j.report.Terms)
		j.report.Terms = append(j.report.Terms, Term{
			Candidate: task.MasterDir + "/" + j.lowest.name,
			Session:   j.lowest.owner,
			Began:     j.since,
		})
	}
	t := &j.report.Terms[j.term]
	t.LastWrite = j.txn.Time
	return t
}

// finished judges what is left when everybody has gone.
func (j *judge) finished() {
	left := make(map[string][]string)
	for name := range j.candidates {
		left[task.MasterDir] = append(left[task.MasterDir], name)
	}
	for id, w := range j.workers {
		if w.exists {
			left[task.WorkersDir] = append(left[task.WorkersDir], id)
		}
	}
	for id, t := range j.tasks {
		if t.exists {
			left[task.TasksDir] = append(left[task.TasksDir], id)
		}
	}
	for id, p := range j.payloads {
		if p.exists {
			left[task.DataDir] = append(left[task.DataDir], id)
		}
	}
	for _, dir := range task.Dirs() {
		if names := left[dir]; len(names) > 0 {
			v := Violation{Rule: RuleEnd, Znode: dir, Why: fmt.Sprintf("%d left, the first is %s", len(names), slices.Min(names))}
			j.report.Violations = append(j.report.Violations, v)
		}
	}
}
