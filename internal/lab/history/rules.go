package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"taskkeeper/internal/task"
)

// judgeTransaction judges what the transaction changed, as a whole: what was
// before it, and what is after it.
func (j *judge) judgeTransaction() {
	for _, c := range j.changedWorkers {
		j.judgeWorker(c)
		c.now.change = nil
	}
	for _, c := range j.changedTasks {
		j.judgeTask(c)
	}
	for _, p := range j.changedData {
		j.judgePayload(p)
	}
	for _, c := range j.changedTasks {
		c.now.change = nil
	}
	j.changedWorkers, j.changedTasks, j.changedData = j.changedWorkers[:0], j.changedTasks[:0], j.changedData[:0]
}

func finished(p task.Phase) bool { return p == task.Done || p == task.Failed }

// describe writes down what a task was.
func (t *taskState) describe() string {
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

func (j *judge) judgeWorker(c *workerChange) {
	was, now := &c.was, c.now
	path := task.WorkerPath(now.id)
	owns := was.exists && was.owner == j.txn.Session
	if was.exists && !owns && !j.leads() {
		j.violation(RuleLeader, path, "written by neither its owner 0x%x nor the leader 0x%x", was.owner, j.lowest.owner)
	}
	for _, id := range now.list {
		if !slices.Contains(was.list, id) {
			j.judgeAssignment(c, id, owns)
		}
	}
	switch {
	case was.exists && now.exists:
		for _, id := range was.list {
			if !slices.Contains(now.list, id) {
				j.judgeLettingGo(c, id, owns)
			}
		}
	case was.exists && owns && !j.txn.closes():
		for _, id := range was.list {
			if t := j.tasks[id]; t.exists && t.phase == task.Pending && !t.change.set {
				j.violation(RuleGive, path, "leaves without task %s, which it lists: %s", id, t.change.was.describe())
			}
		}
	case was.exists:
		j.vanished(was)
	}
}

// judgeAssignment judges that a task came into a worker's list.
func (j *judge) judgeAssignment(c *workerChange, id string, owns bool) {
	path := task.WorkerPath(c.now.id)
	t := j.tasks[id]
	switch {
	case j.leads():
		term := j.led()
		term.Assigned++
		if term.FirstAssign.IsZero() {
			term.FirstAssign = j.txn.Time
		}
	case owns || !c.was.exists: // else it is said already
		j.violation(RuleLeader, path, "task %s assigned by another than the leader 0x%x", id, j.lowest.owner)
	}
	if was := &t.change.was; !t.exists || !was.exists || was.phase != task.Pending || t.phase != task.Pending {
		j.violation(RuleAssign, path, "task %s assigned: %s", id, was.describe())
	}
	for _, h := range t.holders {
		if h != c.now.id {
			j.violation(RuleAssign, path, "task %s assigned while worker %s has it", id, h)
		}
	}
	if len(c.was.list) > 0 {
		j.violation(RuleAssign, path, "task %s assigned to a worker that is not free: %q", id, c.was.list)
	}
	for _, name := range task.Drains(c.now.id) {
		if j.drained[name] {
			j.violation(RuleDrain, path, "task %s assigned, and %s is drained", id, name)
		}
	}
	t.assigned++
	j.report.Assigned++
	j.report.MostAssigned = max(j.report.MostAssigned, t.assigned)
	for _, i := range t.orphans {
		o := &j.report.Orphans[i]
		o.Again, o.To = j.txn.Time, c.now.id
	}
	t.orphans = nil
}

// judgeLettingGo judges that a task left the list of a worker that stays.
func (j *judge) judgeLettingGo(c *workerChange, id string, owns bool) {
	path := task.WorkerPath(c.now.id)
	t := j.tasks[id]
	switch {
	case owns && t.exists && t.phase == task.Pending && !t.change.set && slices.Contains(c.was.back, id):
		j.report.Returned++
		j.report.Assigned-- // it was not executed: that is the first one
		t.assigned--
	case owns:
		if t.exists && t.phase == task.Pending {
			j.violation(RuleGive, path, "frees itself of task %s: %s", id, t.change.was.describe())
		}
	default:
		j.report.TakenBack++
		if j.leads() {
			j.led()
		}
		if t.change.was.exists {
			j.violation(RuleAssign, path, "task %s taken back, though it was not withdrawn: %s", id, t.change.was.describe())
		}
	}
}

// vanished takes down that a worker is gone without having left.
func (j *judge) vanished(w *workerState) {
	j.report.WorkersLost++
	for i, id := range w.list {
		t := j.tasks[id]
		if i == 0 {
			t.vanished++
		}
		if !t.exists || finished(t.phase) {
			continue
		}
		t.orphans = append(t.orphans, len(j.report.Orphans))
		j.report.Orphans = append(j.report.Orphans, Orphan{
			Task: id, Worker: w.id, First: i == 0, Gone: j.txn.Time, Expired: j.txn.closes() && j.txn.Expired,
		})
	}
}

func (j *judge) judgeTask(c *taskChange) {
	was, now := &c.was, c.now
	path := task.StatePath(now.id)
	switch {
	case !was.exists && now.exists:
		if p := j.payloads[now.id]; p == nil || !p.exists || p.created != j.txn.Zxid || p.owner != now.owner {
			j.violation(RuleIDs, path, "submitted without its payload, or with another owner")
		}
		if now.phase != task.Pending || now.losses != 0 {
			j.violation(RuleIDs, path, "submitted as %s", now.describe())
		}
	case was.exists && !now.exists:
		j.judgeRemoval(c)
	}
	if c.retried {
		j.judgeRetry(c)
	}
	if !c.set {
		return
	}
	holder := j.holder(c)
	switch {
	case finished(now.phase):
		j.judgeEnd(c, holder)
	case now.phase == task.Malformed:
		j.violation(RuleCommit, path, "set to an unknown state: %s", was.describe())
	case now.losses == was.losses:
		j.report.GivenBack++
		if holder == "" || j.workers[holder].exists {
			j.violation(RuleGive, path, "given back by another than its leaving worker: %s", was.describe())
		}
	case now.losses == was.losses+1:
		j.countLoss(c, now.losses)
		if !slices.ContainsFunc(now.holders, func(h string) bool { return !slices.Contains(was.holders, h) }) {
			j.violation(RuleLosses, path, "a loss counted without an assignment: %s", was.describe())
		}
	default:
		j.violation(RuleLosses, path, "%d losses after %d", now.losses, was.losses)
	}
}

// holder returns the worker of the transaction's session that listed the task
// before.
func (j *judge) holder(c *taskChange) string {
	for _, h := range c.was.holders {
		if j.workers[h].owner == j.txn.Session {
			return h
		}
	}
	return ""
}

// judgeEnd judges that a task was finished.
func (j *judge) judgeEnd(c *taskChange, holder string) {
	was, now := &c.was, c.now
	path := task.StatePath(now.id)
	if now.phase == task.Done {
		j.report.Done++
	} else {
		j.report.Failed++
	}
	switch {
	case holder != "" && slices.Contains(now.holders, holder):
		j.violation(RuleCommit, path, "%s, while its worker %s lists it on", now.phase, holder)
	case holder != "":
	case now.phase == task.Failed && now.reason == lost(was.losses+1):
		j.countLoss(c, was.losses+1)
		if len(was.holders) > 0 {
			j.violation(RuleCommit, path, "%s: %s", now.reason, was.describe())
		}
	default:
		j.violation(RuleCommit, path, "%s %q by another than its worker: %s", now.phase, now.reason, was.describe())
	}
}

func lost(n int) string {
	if n == 1 {
		return "lost with 1 worker"
	}
	return fmt.Sprintf("lost with %d workers", n)
}

// countLoss judges that one more loss was counted.
func (j *judge) countLoss(c *taskChange, n int) {
	path := task.StatePath(c.now.id)
	j.report.Losses++
	if j.leads() {
		j.led()
	} else {
		j.violation(RuleLeader, path, "a loss counted by another than the leader 0x%x: %s", j.lowest.owner, c.was.describe())
	}
	if n > c.was.vanished {
		j.violation(RuleLosses, path, "losses counted: %d; workers that vanished while they executed it: %d", n, c.was.vanished)
	}
}

// judgeRetry judges that a failed task that outlives its client is pending again.
// Anyone may ask for that, but those whose writes of "pending" mean another thing.
func (j *judge) judgeRetry(c *taskChange) {
	j.report.Retried++
	if j.ran[j.txn.Session] || j.holder(c) != "" {
		j.violation(RuleCommit, task.StatePath(c.now.id), "pending again by a master or its worker: %s", c.was.describe())
	}
}

// judgeRemoval judges that a task is gone.
func (j *judge) judgeRemoval(c *taskChange) {
	was := &c.was
	path := task.StatePath(was.id)
	p := j.payloads[was.id]
	whole := p == nil || !p.exists // nothing of it is left
	if !finished(was.phase) {
		j.report.Withdrawn++
	}
	switch {
	case was.owner == j.txn.Session:
	case j.ran[j.txn.Session]:
		j.report.Uncollected++
		switch {
		case !j.mayRemove(path, was.since):
		case !finished(was.phase) || was.owner != 0:
			j.violation(RuleRemove, path, "removed by the leader, though it is not finished or its client's: %s", was.describe())
		case !whole:
			j.violation(RuleRemove, path, "removed by the leader without its payload")
		}
	case finished(was.phase), was.owner == 0, whole: // collected, or cancelled
	default:
		j.violation(RuleRemove, path, "removed by another than its client, without its payload: %s", was.describe())
	}
}

// mayRemove judges that a master removes what is so since then.
func (j *judge) mayRemove(path string, since time.Time) bool {
	switch kept := j.txn.Time.Sub(since); {
	case !j.leads():
		j.violation(RuleLeader, path, "removed by a master while 0x%x leads", j.lowest.owner)
		return false
	case kept < j.opts.Retention:
		j.violation(RuleRemove, path, "removed by the leader after %s, not %s", kept, j.opts.Retention)
		return false
	}
	j.led()
	return true
}

// judgePayload judges a payload that came or went.
func (j *judge) judgePayload(p *payload) {
	t := j.tasks[p.id]
	path := task.DataPath(p.id)
	switch {
	case p.exists && p.created == j.txn.Zxid && (t == nil || t.change == nil || t.change.was.exists || !t.exists):
		j.violation(RuleIDs, path, "a payload without its task")
	case !p.exists && t != nil && t.exists && t.phase == task.Pending:
		j.violation(RuleRemove, path, "the payload of a task that is not finished is removed: %s", t.describe())
	case !p.exists && p.owner != j.txn.Session && j.ran[j.txn.Session] && (t == nil || t.change == nil || !t.change.was.exists || t.exists):
		j.judgeSweep(p)
	}
}

// judgeSweep judges that a master removed a payload without its task.
func (j *judge) judgeSweep(p *payload) {
	j.report.Uncollected++
	path, t := task.DataPath(p.id), j.tasks[p.id]
	if j.mayRemove(path, p.since) && (p.owner != 0 || t != nil && t.exists) {
		j.violation(RuleRemove, path, "removed by the leader, though it is a task's or a client's")
	}
}

// drain judges that a leader writes that a host, a process or a worker is drained.
func (j *judge) drain(name string, e Event) {
	if told, _ := task.ParseDrain(e.Data, e.Version); e.Op != Set || !told {
		delete(j.drained, name)
		return
	}
	j.drained[name] = true
	j.report.Drained++
	if j.leads() {
		j.led()
	} else {
		j.violation(RuleDrain, e.Path, "told by another than the leader 0x%x", j.lowest.owner)
	}
	for id, w := range j.workers {
		if w.exists && len(w.list) > 0 && slices.Contains(task.Drains(id), name) {
			j.violation(RuleDrain, e.Path, "drained, and worker %s has %q", id, w.list)
		}
	}
}
