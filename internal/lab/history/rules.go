package history

import (
	"fmt"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// judgeTransaction compares everything that the transaction changed with what it was before.
func (j *judge) judgeTransaction() {
	for _, w := range j.workers.changed {
		j.judgeWorker(w)
	}
	for _, t := range j.tasks.changed {
		j.judgeTask(t)
		j.judgePayload(t)
	}
	j.workers.settle()
	j.tasks.settle()
}

func (j *judge) judgeWorker(w *item[workerState]) {
	path := task.WorkerPath(w.id)
	owns := w.was.exists && w.was.owner == j.txn.Session
	if w.was.exists && !owns && !j.byLeader() {
		j.violation(RuleLeader, path, "written by neither its owner 0x%x nor the leader 0x%x", w.was.owner, j.leader)
	}
	for _, id := range without(w.now.list, w.was.list) {
		j.judgeAssignment(w, j.tasks.at(id))
	}
	switch {
	case w.was.exists && w.now.exists:
		for _, id := range without(w.was.list, w.now.list) {
			j.judgeRelease(w, j.tasks.at(id), owns)
		}
	case w.was.exists && owns && !j.txn.closes():
		for _, id := range w.was.list {
			if t := j.tasks.at(id); t.now.pending() && t.now.sets == t.was.sets {
				j.violation(RuleGive, path, "leaves without task %s, which it lists: %s", id, t.was)
			}
		}
	case w.was.exists:
		j.judgeLoss(w.was.list)
	}
}

// judgeAssignment judges that a task came into a worker's list.
func (j *judge) judgeAssignment(w *item[workerState], t *item[taskState]) {
	path := task.WorkerPath(w.id)
	if !j.byLeader() && (!w.was.exists || w.was.owner == j.txn.Session) { // otherwise judgeWorker has said so
		j.violation(RuleLeader, path, "task %s assigned by another than the leader 0x%x", t.id, j.leader)
	}
	if !t.was.pending() || !t.now.pending() {
		j.violation(RuleAssign, path, "task %s assigned: %s", t.id, t.was)
	}
	for _, other := range without(t.now.holders, []string{w.id}) {
		j.violation(RuleAssign, path, "task %s assigned while worker %s has it", t.id, other)
	}
	if len(w.was.list) > 0 {
		j.violation(RuleAssign, path, "task %s assigned to a worker that is not free: %q", t.id, w.was.list)
	}
	for _, name := range task.Drains(w.id) {
		if j.drained[name] {
			j.violation(RuleDrain, path, "task %s assigned, and %s is drained", t.id, name)
		}
	}
	t.now.assigned++
	j.report.Assigned++
	j.report.MostAssigned = max(j.report.MostAssigned, t.now.assigned)
}

// judgeRelease judges that a task left the list of a worker that stays.
func (j *judge) judgeRelease(w *item[workerState], t *item[taskState], byOwner bool) {
	path := task.WorkerPath(w.id)
	switch {
	case !byOwner:
		j.report.TakenBack++
		if t.was.exists {
			j.violation(RuleAssign, path, "task %s taken back, though it was not withdrawn: %s", t.id, t.was)
		}
	case t.now.pending() && t.now.sets == t.was.sets && slices.Contains(w.was.back, t.id):
		j.report.Returned++
		j.report.Assigned-- // it was not executed: the worker executes the first of its list
		t.now.assigned--
	case t.now.pending():
		j.violation(RuleGive, path, "frees itself of task %s: %s", t.id, t.was)
	}
}

// judgeLoss counts what a worker listed that has vanished without leaving.
func (j *judge) judgeLoss(list []string) {
	j.report.WorkersLost++
	for i, id := range list {
		t := &j.tasks.at(id).now
		if i == 0 {
			t.vanished++
		}
		if t.exists && !finished(t.phase) {
			j.report.Orphans++
		}
	}
}

func (j *judge) judgeTask(t *item[taskState]) {
	path := task.StatePath(t.id)
	switch {
	case !t.was.exists && t.now.exists:
		if t.was.payload.exists || !t.now.payload.exists || t.now.payload.owner != t.now.owner {
			j.violation(RuleIDs, path, "submitted without its payload, or with another owner")
		}
		if !t.now.pending() || t.now.losses != 0 {
			j.violation(RuleIDs, path, "submitted as %s", t.now)
		}
	case t.was.exists && !t.now.exists:
		j.judgeRemoval(t)
	}
	if t.now.retries > t.was.retries {
		j.report.Retried++
		if j.master[j.txn.Session] || j.holder(t) != "" { // their writes of "pending" mean something else
			j.violation(RuleCommit, path, "pending again by a master or its worker: %s", t.was)
		}
	}
	if t.now.sets > t.was.sets {
		j.judgeState(t)
	}
}

// judgeState judges that the state of a task was set.
func (j *judge) judgeState(t *item[taskState]) {
	path, holder, was, now := task.StatePath(t.id), j.holder(t), t.was, t.now
	switch now.phase {
	case task.Done:
		j.report.Done++
	case task.Failed:
		j.report.Failed++
	}
	if finished(now.phase) {
		j.report.Finishes = append(j.report.Finishes, j.txn.Time)
	}
	switch {
	case now.phase == task.Malformed:
		j.violation(RuleCommit, path, "set to an unknown state: %s", was)
	case finished(now.phase) && holder != "":
		if slices.Contains(now.holders, holder) {
			j.violation(RuleCommit, path, "%s, while its worker %s still lists it", now.phase, holder)
		}
	case now.phase == task.Failed && now.reason == lost(was.losses+1):
		j.countLoss(t)
		if len(was.holders) > 0 {
			j.violation(RuleCommit, path, "%s: %s", now.reason, was)
		}
	case finished(now.phase):
		j.violation(RuleCommit, path, "%s %q by another than its worker: %s", now.phase, now.reason, was)
	case now.losses == was.losses:
		j.report.GivenBack++
		if holder == "" || j.workers.at(holder).now.exists {
			j.violation(RuleGive, path, "given back by another than its leaving worker: %s", was)
		}
	case now.losses == was.losses+1:
		j.countLoss(t)
		if len(without(now.holders, was.holders)) == 0 {
			j.violation(RuleLosses, path, "a loss counted without an assignment: %s", was)
		}
	default:
		j.violation(RuleLosses, path, "%d losses after %d", now.losses, was.losses)
	}
}

// holder returns the worker of the transaction's session that listed a task.
func (j *judge) holder(t *item[taskState]) string {
	for _, h := range t.was.holders {
		if j.workers.at(h).now.owner == j.txn.Session {
			return h
		}
	}
	return ""
}

// lost is the reason with which a leader fails a task.
func lost(n int) string {
	if n == 1 {
		return "lost with 1 worker"
	}
	return fmt.Sprintf("lost with %d workers", n)
}

// countLoss judges that one more loss of a task is counted.
func (j *judge) countLoss(t *item[taskState]) {
	path, was := task.StatePath(t.id), t.was
	j.report.Losses++
	if !j.byLeader() {
		j.violation(RuleLeader, path, "a loss counted by another than the leader 0x%x: %s", j.leader, was)
	}
	if was.losses+1 > was.vanished {
		j.violation(RuleLosses, path, "losses counted: %d; workers that vanished while they executed it: %d", was.losses+1, was.vanished)
	}
}

// judgeRemoval judges that a task was removed.
func (j *judge) judgeRemoval(t *item[taskState]) {
	path, was, now := task.StatePath(t.id), t.was, t.now
	if !finished(was.phase) {
		j.report.Withdrawn++
	}
	switch {
	case was.owner == j.txn.Session:
	case !j.master[j.txn.Session]: // collected, or cancelled
		if !finished(was.phase) && was.owner != 0 && now.payload.exists {
			j.violation(RuleRemove, path, "removed by another than its client, without its payload: %s", was)
		}
	case !j.mayRemove(path, was.since):
	case !finished(was.phase) || was.owner != 0:
		j.violation(RuleRemove, path, "removed by the leader, though it is not finished or its client's: %s", was)
	case now.payload.exists:
		j.violation(RuleRemove, path, "removed by the leader without its payload")
	}
}

// mayRemove judges that a master removes what nobody collected since then.
func (j *judge) mayRemove(path string, since time.Time) bool {
	j.report.Uncollected++
	switch kept := j.txn.Time.Sub(since); {
	case !j.byLeader():
		j.violation(RuleLeader, path, "removed by a master while 0x%x leads", j.leader)
		return false
	case kept < j.opts.Retention:
		j.violation(RuleRemove, path, "removed by the leader after %s, not %s", kept, j.opts.Retention)
		return false
	}
	return true
}

// judgePayload judges that a payload was created or removed.
func (j *judge) judgePayload(t *item[taskState]) {
	path, was, now, owner := task.DataPath(t.id), t.was, t.now, t.was.payload.owner
	switch {
	case was.payload.exists == now.payload.exists:
	case now.payload.exists:
		if was.exists || !now.exists {
			j.violation(RuleIDs, path, "a payload without its task")
		}
	case now.pending():
		j.violation(RuleRemove, path, "the payload of a task that is not finished is removed: %s", now)
	case !j.master[j.txn.Session], was.exists && !now.exists: // judgeRemoval judges the latter
	case j.mayRemove(path, was.payload.since) && (owner != 0 || now.exists):
		j.violation(RuleRemove, path, "removed by the leader, though it belongs to a task or a client")
	}
}

// drain judges that the leader writes that a host, a process or a worker is drained.
func (j *judge) drain(name string, e Event) {
	if isDrained, _ := task.ParseDrain(e.Data, e.Version); !isDrained {
		delete(j.drained, name)
		return
	}
	j.drained[name] = true
	j.report.Drained++
	if !j.byLeader() {
		j.violation(RuleDrain, e.Path, "written by another than the leader 0x%x", j.leader)
	}
	for id, w := range j.workers.items {
		if len(w.now.list) > 0 && slices.Contains(task.Drains(id), name) {
			j.violation(RuleDrain, e.Path, "drained, and worker %s has %q", id, w.now.list)
		}
	}
}
