// Package client submits tasks and fetches their results.
//
//	/data/<id>    ephemeral; the payload         created in one Multi (an atomic
//	/tasks/<id>   ephemeral; the task's state    transaction), deleted in one Multi
//
//	           ┌───────────┐ one Multi  ┌─────────┐ done, failed   ┌─────────┐
//	  Do ────► │ submitting├───────────►│ waiting ├───────────────►│ fetched │
//	           └───────────┘            └──┬───┬──┘                └────┬────┘
//	                 ▲   session is over   │   │ ctx ends               │ one Multi
//	                 └─────────────────────┘   ▼                        ▼
//	                   under a new id       withdrawn                cleaned up
//
// # Guarantees
//
// A submission ends with one result or one stated failure, for as long as the
// process lives. A task may be executed more than once. When the process dies,
// ZooKeeper removes its tasks: they are ephemeral.
//
//   - The client fetches the result before it deletes the znodes: /tasks/<id> holds
//     the only copy of the result.
//   - A client whose session is over submits its unfinished tasks again, under new ids.
//     An id names one submission for ever, so a version check made for one submission
//     never passes for another. The client keeps the results that it has fetched.
//   - When an answer is lost, the client reads the znodes after a Sync on the same
//     session, and sends the request again if it was not carried out.
//   - A task that vanishes before it is finished was removed by someone. The client
//     does not submit it again.
//   - When a task's znodes cannot be deleted (because of an ACL, or a child that someone
//     made), the client logs a warning and leaves them. It still returns the result.
//   - While ZooKeeper is away no call ends: calls wait, unless Serve's caller ends
//     the session.
//
// # Detached tasks
//
// Submit makes the same two znodes persistent. Such a task outlives the client, and
// anyone with its id may wait for it. The client collects (deletes) the task after it has
// handed over the result, at the version that it read: a failed task may have been made
// pending again meanwhile. If the session ends before the answer to a submission arrives,
// the client looks for the task by its id. An ended session writes nothing any more, so if
// the task is missing the client submits it under a new id. A server may lag behind the
// server where the task was submitted, so a missing task is looked for once more after a
// Sync.
//
// # Few watches
//
// Each watch costs a read, and cannot be removed. So the client watches only the oldest few
// tasks. When one of them finishes, the client reads the next ones in one request. The
// batch grows while all tasks that it reads are finished. If the oldest tasks take long,
// the client watches more, a few at a time, until it watches all: 1,000 tasks after about
// 3 s. A lost watch costs up to 10 s.
//
// Submissions and clean-ups of several callers share Multis. No caller waits for a
// clean-up: the client sends it with the next submission, or some ms later.
//
// A waiting client runs one timer, of 10 s, for lost watches. When no task has finished
// for 2 s, the client looks once for a leader, and for a worker that is not drained, and
// watches /master, /workers and /drain. If the leader or such a worker is missing, the
// client logs a warning. WaitForWorkers watches /workers and /drain before any task is
// submitted.
//
// # Memory
//
// A batch bounds the payloads in flight. It also bounds the results that wait in memory,
// because an earlier task takes long or the output blocks: results beyond the bound go to
// temporary files without a name. A task is deleted when its result is fetched: the task
// would vanish with the client anyway. A detached task stays until the client has handed
// over the result.
package client
