package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/task"
)

// Options say how to judge a history.
type Options struct {
	Finished  bool          // all programs have ended: no znode may be left
	Manual    []int64       // sessions of people: their writes break no rule
	Retention time.Duration // the masters': they remove no result sooner; 0 if unknown
}

// Check judges a history that begins with an empty tree.
func Check(txns []Txn, o Options) Report {
	j := &judge{
		opts:       o,
		report:     Report{Txns: len(txns)},
		candidates: make(map[string]int64),
		workers:    newTable[workerState](),
		tasks:      newTable[taskState](),
		drained:    make(map[string]bool),
		exists:     make(map[string]bool),
		ended:      make(map[int64]bool),
		master:     make(map[int64]bool),
	}
	for i := range txns {
		j.take(&txns[i])
	}
	j.endTerm(Term{})
	if o.Finished {
		j.judgeRest()
	}
	return j.report
}

// judge replays a history.
type judge struct {
	opts   Options
	report Report

	candidates map[string]int64 // the owner of each candidate, by sequence number and name
	workers    table[workerState]
	tasks      table[taskState] // with their payloads
	drained    map[string]bool  // children of /drain that say so
	exists     map[string]bool  // whether a path that ever existed still does
	ended      map[int64]bool   // sessions
	master     map[int64]bool   // sessions that ever had a candidate

	lowest string // of the candidates
	leader int64  // its owner; 0 without a candidate
	term   Term
	wrote  bool // in this term

	txn *Txn // the current transaction
}

// table holds what ever existed in one folder, by id.
type table[T any] struct {
	items   map[string]*item[T]
	changed []*item[T] // by the current transaction
}

// item is a worker or a task before and after the current transaction.
type item[T any] struct {
	id       string
	was, now T
}

func newTable[T any]() table[T] { return table[T]{items: make(map[string]*item[T])} }

func (t *table[T]) at(id string) *item[T] {
	if t.items[id] == nil {
		t.items[id] = &item[T]{id: id}
	}
	return t.items[id]
}

// change returns an item whose now is about to change.
func (t *table[T]) change(id string) *item[T] {
	i := t.at(id)
	if !slices.Contains(t.changed, i) {
		t.changed = append(t.changed, i)
	}
	return i
}

// settle ends the current transaction.
func (t *table[T]) settle() {
	for _, i := range t.changed {
		i.was = i.now
	}
	t.changed = t.changed[:0]
}

type workerState struct {
	exists bool
	owner  int64
	list   []string
	back   []string // of list: tasks that it is asked to return
}

type taskState struct {
	exists   bool
	owner    int64
	phase    task.Phase
	since    time.Time // when the phase began, or the task was removed
	losses   int
	reason   string // Failed
	asks     task.Facts
	holders  []string // the workers that list it
	vanished int      // workers that vanished while they listed it first, since the last retry
	assigned int      // how often
	sets     int      // how often its state was set, but for retries
	retries  int      // how often it was set from failed back to pending

	payload payload
}

type payload struct {
	exists bool
	owner  int64
	since  time.Time
}

// String describes a task for a violation.
func (t taskState) String() string {
	if !t.exists {
		return "no task"
	}
	s := t.phase.String()
	if t.losses > 0 {
		s += fmt.Sprint(" ", t.losses)
	}
	if len(t.holders) > 0 {
		s += ", held by " + strings.Join(t.holders, " and ")
	}
	return s
}

func (t taskState) pending() bool { return t.exists && t.phase == task.Pending }

func finished(p task.Phase) bool { return p == task.Done || p == task.Failed }

func (j *judge) violation(rule Rule, znode, format string, args ...any) {
	if slices.Contains(j.opts.Manual, j.txn.Session) {
		return
	}
	j.report.Violations = append(j.report.Violations, Violation{rule, j.txn.Zxid, j.txn.Session, znode, fmt.Sprintf(format, args...)})
}

// take replays one transaction and judges it.
func (j *judge) take(t *Txn) {
	j.txn = t
	if t.Refused != 0 {
		if t.RefusedAt == 0 && t.Refused == NoNode && j.master[t.Session] {
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
	case CloseSession:
		j.ended[j.txn.Session] = true
		if j.txn.Expired {
			j.report.Expired++
		}
	}
	dir, name, below := strings.Cut(strings.TrimPrefix(e.Path, "/"), "/")
	if !below || strings.Contains(name, "/") {
		return // no znode of the service
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
	j.exists[e.Path] = e.Op != Delete
}

// created judges the name of a znode that is created, and who owns a candidate or a worker.
func (j *judge) created(e Event, mustBeEphemeral bool) {
	if _, again := j.exists[e.Path]; again {
		j.violation(RuleIDs, e.Path, "the name is used again")
	}
	if mustBeEphemeral && e.Owner == 0 {
		j.violation(RuleIDs, e.Path, "is not ephemeral")
	}
}

// candidate replays a change of a child of /master. Its last ten digits are its number; other
// children are no candidates.
func (j *judge) candidate(name string, e Event) {
	number := name[max(0, len(name)-10):]
	if len(number) < 10 || strings.Trim(number, "0123456789") != "" {
		return
	}
	switch e.Op {
	case Create:
		j.created(e, true)
		j.candidates[number+name] = e.Owner
		j.master[e.Owner] = true
	case Delete:
		delete(j.candidates, number+name)
	}
}

func (j *judge) worker(id string, e Event) {
	w := &j.workers.change(id).now
	switch e.Op {
	case Create:
		j.created(e, true)
		w.exists, w.owner = true, e.Owner
		j.report.Workers++
	case Delete:
		w.exists = false
	}
	list, _ := task.ParseList(e.Data) // a malformed list holds nothing; a Delete has no data
	for _, gone := range without(w.list, list.IDs) {
		t := &j.tasks.change(gone).now
		t.holders = without(t.holders, []string{id})
	}
	for _, added := range without(list.IDs, w.list) {
		t := &j.tasks.change(added).now
		t.holders = append(slices.Clone(t.holders), id)
	}
	w.list, w.back = list.IDs, list.Back
}

// without returns the ids that are not among others.
func without(ids, others []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(others, id) })
}

func (j *judge) task(id string, e Event) {
	c := j.tasks.change(id)
	t, state := &c.now, task.ParseState(e.Data)
	switch e.Op {
	case Create:
		j.created(e, false)
		t.exists, t.owner, t.asks = true, e.Owner, state.Facts.Asked()
		j.report.Created++
	case Set:
		j.setState(c, state, e)
	case Delete:
		t.exists, t.since = false, j.txn.Time
		return
	}
	t.phase, t.losses, t.since, t.reason = state.Phase, state.Losses, j.txn.Time, ""
	if state.Phase == task.Failed {
		t.reason = string(state.Text)
	}
}

func (j *judge) setState(c *item[taskState], state task.State, e Event) {
	t := &c.now
	switch {
	case t.sets+t.retries > c.was.sets+c.was.retries:
		j.violation(RuleCommit, e.Path, "set twice in one transaction, at last to %.80q", e.Data)
	case t.phase == task.Failed && t.owner == 0 && state.Phase == task.Pending && state.Losses == 0:
		t.retries++
		t.vanished = 0 // earlier losses do not count for the new attempt
	case finished(t.phase):
		j.violation(RuleCommit, e.Path, "%.80q overwrites a finished state, %s", e.Data, t.phase)
	default:
		t.sets++
	}
	if asks := state.Facts.Asked(); asks != t.asks {
		j.violation(RuleCommit, e.Path, "its submitter asks for %q, and %.80q does not hold that", t.asks, e.Data)
	}
}

func (j *judge) payload(id string, e Event) {
	p := &j.tasks.change(id).now.payload
	switch e.Op {
	case Create:
		j.created(e, false)
		*p = payload{exists: true, owner: e.Owner, since: j.txn.Time}
	case Set:
		j.violation(RuleIDs, e.Path, "a payload is changed, to %.80q", e.Data)
	case Delete:
		p.exists = false
	}
}

// elect finds out who leads after the transaction.
func (j *judge) elect() {
	lowest := ""
	for candidate := range j.candidates {
		if lowest == "" || candidate < lowest {
			lowest = candidate
		}
	}
	if leader := j.candidates[lowest]; lowest != j.lowest || leader != j.leader {
		j.term.Ended = j.txn.Time
		j.endTerm(Term{Began: j.txn.Time})
		j.lowest, j.leader = lowest, leader
	}
}

func (j *judge) endTerm(next Term) {
	if j.wrote {
		j.report.Terms = append(j.report.Terms, j.term)
	}
	j.term, j.wrote = next, false
}

// byLeader reports whether the transaction's session led before it. If so, the candidate has
// written as the leader.
func (j *judge) byLeader() bool {
	leads := j.leader != 0 && j.leader == j.txn.Session
	j.wrote = j.wrote || leads
	return leads
}

// judgeRest judges what is left after all programs have ended.
func (j *judge) judgeRest() {
	for _, dir := range []string{task.MasterDir, task.WorkersDir, task.TasksDir, task.DataDir} {
		var left []string
		for path, exists := range j.exists {
			if exists && strings.HasPrefix(path, dir+"/") {
				left = append(left, path)
			}
		}
		if len(left) > 0 {
			v := Violation{Rule: RuleEnd, Znode: dir, Why: fmt.Sprintf("%d left, the first is %s", len(left), slices.Min(left))}
			j.report.Violations = append(j.report.Violations, v)
		}
	}
}
