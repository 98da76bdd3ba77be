package history

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"taskkeeper/internal/task"
)

// judgeTransaction compares everything that the transaction changed with what it was before.
func (j *judge) judgeTransaction() {
	for _, id := range slices.Sorted(maps.Keys(j.workers.was)) {
		j.judgeWorker(id)
	}
	for _, id := range slices.Sorted(maps.Keys(j.tasks.was)) {
		j.judgeTask(id)
		j.judgePayload(id)
	}
	clear(j.workers.was)
	clear(j.tasks.was)
}

func (j *judge) judgeWorker(id string) {
	was, now := j.workers.get(id)
	owns := was.exists && was.owner == j.txn.Session
	if was.exists && !owns && !j.byLeader() {
		j.violation(RuleLeader, task.WorkerPath(id), "written by neither its owner 0x%x nor the leader 0x%x", was.owner, j.leader)
	}
	for _, added := range without(now.list, was.list) {
		j.judgeAssignment(id, added)
	}
	switch {
	case was.exists && now.exists:
		for _, removed := range without(was.list, now.list) {
			j.judgeRelease(id, removed, owns)
		}
	case was.exists && owns && !j.txn.closes():
		for _, listed := range was.list {
			if before, t := j.tasks.get(listed); t.exists && t.phase == task.Pending && t.sets == before.sets {
				j.violation(RuleGive, task.WorkerPath(id), "leaves without task %s, which it lists: %s", listed, before)
			}
		}
	case was.exists:
		j.judgeLoss(was)
	}
}

// judgeAssignment judges that a task came into a worker's list.
func (j *judge) judgeAssignment(worker, id string) {
	path := task.WorkerPath(worker)
	w, _ := j.workers.get(worker)
	was, t := j.tasks.get(id)
	if !j.byLeader() && (!w.exists || w.owner == j.txn.Session) { // otherwise judgeWorker has said so
		j.violation(RuleLeader, path, "task %s assigned by another than the leader 0x%x", id, j.leader)
	}
	if !t.exists || !was.exists || was.phase != task.Pending || t.phase != task.Pending {
		j.violation(RuleAssign, path, "task %s assigned: %s", id, was)
	}
	for _, other := range without(t.holders, []string{worker}) {
		j.violation(RuleAssign, path, "task %s assigned while worker %s has it", id, other)
	}
	if len(w.list) > 0 {
		j.violation(RuleAssign, path, "task %s assigned to a worker that is not free: %q", id, w.list)
	}
	for _, name := range task.Drains(worker) {
		if j.drained[name] {
			j.violation(RuleDrain, path, "task %s assigned, and %s is drained", id, name)
		}
	}
	j.tasks.now[id].assigned++
	j.report.Assigned++
	j.report.MostAssigned = max(j.report.MostAssigned, j.tasks.now[id].assigned)
}

// judgeRelease judges that a task left the list of a worker that stays.
func (j *judge) judgeRelease(worker, id string, byOwner bool) {
	path := task.WorkerPath(worker)
	w, _ := j.workers.get(worker)
	was, t := j.tasks.get(id)
	pending := t.exists && t.phase == task.Pending
	switch {
	case !byOwner:
		j.report.TakenBack++
		if was.exists {
			j.violation(RuleAssign, path, "task %s taken back, though it was not withdrawn: %s", id, was)
		}
	case pending && t.sets == was.sets && slices.Contains(w.back, id):
		j.report.Returned++
		j.report.Assigned-- // it was not executed: the worker executes the first of its list
		j.tasks.now[id].assigned--
	case pending:
		j.violation(RuleGive, path, "frees itself of task %s: %s", id, was)
	}
}

// judgeLoss counts what a worker listed that has vanished without leaving.
func (j *judge) judgeLoss(w workerState) {
	j.report.WorkersLost++
	for i, id := range w.list {
		t := j.tasks.now[id]
		if i == 0 {
			t.vanished++
		}
		if t.exists && !finished(t.phase) {
			j.report.Orphans++
		}
	}
}

func (j *judge) judgeTask(id string) {
	was, now := j.tasks.get(id)
	path := task.StatePath(id)
	switch {
	case !was.exists && now.exists:
		if was.payload.exists || !now.payload.exists || now.payload.owner != now.owner {
			j.violation(RuleIDs, path, "submitted without its payload, or with another owner")
		}
		if now.phase != task.Pending || now.losses != 0 {
			j.violation(RuleIDs, path, "submitted as %s", now)
		}
	case was.exists && !now.exists:
		j.judgeRemoval(id)
	}
	if now.retries > was.retries {
		j.report.Retried++
		if j.master[j.txn.Session] || j.holder(was) != "" { // their writes of "pending" mean something else
			j.violation(RuleCommit, path, "pending again by a master or its worker: %s", was)
		}
	}
	if now.sets > was.sets {
		j.judgeState(id)
	}
}

// judgeState judges that the state of a task was set.
func (j *judge) judgeState(id string) {
	was, now := j.tasks.get(id)
	path, holder := task.StatePath(id), j.holder(was)
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
		j.countLoss(path, was)
		if len(was.holders) > 0 {
			j.violation(RuleCommit, path, "%s: %s", now.reason, was)
		}
	case finished(now.phase):
		j.violation(RuleCommit, path, "%s %q by another than its worker: %s", now.phase, now.reason, was)
	case now.losses == was.losses:
		j.report.GivenBack++
		if holder == "" || j.workers.now[holder].exists {
			j.violation(RuleGive, path, "given back by another than its leaving worker: %s", was)
		}
	case now.losses == was.losses+1:
		j.countLoss(path, was)
		if len(without(now.holders, was.holders)) == 0 {
			j.violation(RuleLosses, path, "a loss counted without an assignment: %s", was)
		}
	default:
		j.violation(RuleLosses, path, "%d losses after %d", now.losses, was.losses)
	}
}

// holder returns the worker of the transaction's session that listed a task.
func (j *judge) holder(was taskState) string {
	for _, h := range was.holders {
		if j.workers.now[h].owner == j.txn.Session {
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
func (j *judge) countLoss(path string, was taskState) {
	j.report.Losses++
	if !j.byLeader() {
		j.violation(RuleLeader, path, "a loss counted by another than the leader 0x%x: %s", j.leader, was)
	}
	if was.losses+1 > was.vanished {
		j.violation(RuleLosses, path, "losses counted: %d; workers that vanished while they executed it: %d", was.losses+1, was.vanished)
	}
}

// judgeRemoval judges that a task was removed.
func (j *judge) judgeRemoval(id string) {
	was, now := j.tasks.get(id)
	path := task.StatePath(id)
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
func (j *judge) judgePayload(id string) {
	was, now := j.tasks.get(id)
	path, owner := task.DataPath(id), was.payload.owner
	switch {
	case was.payload.exists == now.payload.exists:
	case now.payload.exists:
		if was.exists || !now.exists {
			j.violation(RuleIDs, path, "a payload without its task")
		}
	case now.exists && now.phase == task.Pending:
		j.violation(RuleRemove, path, "the payload of a task that is not finished is removed: %s", now)
	case owner == j.txn.Session, !j.master[j.txn.Session], was.exists && !now.exists: // judgeRemoval judges the last
	case j.mayRemove(path, was.payload.since) && (owner != 0 || now.exists):
		j.violation(RuleRemove, path, "removed by the leader, though it belongs to a task or a client")
	}
}

// drain judges that the leader writes that a host, a process or a worker is drained.
func (j *judge) drain(name string, e Event) {
	if isDrained, _ := task.ParseDrain(e.Data, e.Version); e.Op != Set || !isDrained {
		delete(j.drained, name)
		return
	}
	j.drained[name] = true
	j.report.Drained++
	if !j.byLeader() {
		j.violation(RuleDrain, e.Path, "written by another than the leader 0x%x", j.leader)
	}
	for id, w := range j.workers.now {
		if w.exists && len(w.list) > 0 && slices.Contains(task.Drains(id), name) {
			j.violation(RuleDrain, e.Path, "drained, and worker %s has %q", id, w.list)
		}
	}
}
