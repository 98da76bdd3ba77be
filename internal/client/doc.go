// Package client submits tasks and fetches their results.
//
//	/data/<id>    ephemeral; the payload         created in one Multi,
//	/tasks/<id>   ephemeral; the task's state    deleted in one Multi
//
//	           ┌───────────┐ one Multi  ┌─────────┐ done, failed   ┌─────────┐
//	  Do ────► │ submitting├───────────►│ waiting ├───────────────►│ fetched │
//	           └───────────┘            └──┬───┬──┘                └────┬────┘
//	                 ▲   session is over   │   │ ctx ends               │ one Multi
//	                 └─────────────────────┘   ▼                        ▼
//	                   under a new id       withdrawn                cleaned up
//
// # What is kept, and what is not
//
// A submission ends with one result or one stated failure, for as long as the
// process lives. It may be executed more than once. When the process dies,
// ZooKeeper removes its tasks: they are ephemeral.
//
//   - The result is fetched before the znodes are cleaned up: /tasks/<id> holds
//     the only copy of it.
//   - A client whose session is over submits what is open again, under new ids:
//     an id names one submission for ever, so that no version check made for one
//     passes on another. What it fetched before is kept.
//   - A lost answer is settled by Sync and a read on the same session, and by
//     sending the same again if it was not carried out.
//   - A task that vanishes before it is finished was removed by someone; it is
//     not submitted again.
//   - What cannot be cleaned up (a foreign ACL, a child that someone made) is
//     warned of and left; the result is returned all the same.
//   - While ZooKeeper is away nothing ends: calls wait, unless Serve's caller
//     ends the session.
//
// # Detached tasks
//
// Submit makes the same two znodes persistent: such a task outlives the client, and
// whoever knows its id may wait for it. It is collected once it has been handed
// over, at the version that was read: a failed task may have been made pending
// again meanwhile. A detached submission whose session ended before the answer came
// is looked for by its id: an ended session writes nothing any more, so what is not
// there never will be, and goes under a new id. A task that is not there is looked
// for once more after a Sync, because a server may lag behind the one where it was
// submitted.
//
// # Few watches
//
// A watch cannot be removed, and each costs a read. Of many tasks in flight only
// the oldest few are watched; when one of them is finished, those behind it are
// read, in one request, and ever more while all are finished. Where the oldest take
// long, more are watched, a few at a time, until all are: a thousand after some
// three seconds. A lost watch costs ten.
//
// What several callers submit and clean up at a time goes in common Multis. Nobody
// waits for a clean-up, so it goes with the next submission, or a little later.
//
// A client that waits does nothing else: no timer runs but one of ten seconds, for the
// lost watches. When no task is finished for two seconds it looks once whether there is
// a leader, and a worker that is not drained, and watches /master, /workers and /drain;
// what is missing is warned of. WaitForWorkers watches the last two before any task is
// submitted.
//
// # What is held in memory
//
// Of a batch, the payloads in flight are bounded, and so are the results that wait for
// their turn to be emitted, behind a task that takes long or an output that blocks.
// What exceeds that bound is written to temporary files without a name. A submitted
// task is cleaned up when its result is fetched: it would end with the client anyway.
// A detached one stays until it is collected, after its result was handed over.
package client
