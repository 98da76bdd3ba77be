// Package worker executes the tasks that the leader assigns.
//
// A process hosts one or more workers, called slots here, over one session. Each slot has
// an id and a znode of its own:
//
//	/workers/<id>   [queue.]<host>:<pid>-<uuid>, ephemeral, never used twice.
//	                Empty: the slot is free. Else the ids of its tasks, one a line.
//	                The leader writes it while the slot is free, the slot while it is
//	                busy. When the leader takes tasks back or asks for them, both may
//	                write: the znode's version decides.
//	/data/<task>    the payload; read once, with the state, by the slot that executes
//	                the task
//	/tasks/<task>   the state; written once, when the slot commits, with the facts of
//	                the execution (see package task)
//
//	          ┌──────┐ listed                    ┌───────────┐
//	   ──────►│ free ├──────────────────────────►│ executing │
//	 register └──────┘                           └─┬───┬───┬─┘
//	              ▲      no longer listed: cancel  │   │   │ result
//	              ├────────────────────────────────┘   │   ▼
//	              │ task finished, gone, malformed ┌───┼────────┐
//	              ├────────────────────────────────┤ committing │
//	              │ committed                      └───┼────────┘
//	              └────────────────────────────────────┤
//	  its own znode is gone: cancel all, register anew │
//	  Run's ctx ends: give back what is listed, leave  ▼
//
// The slot compares new content of its znode with its list. It cancels ids that are no
// longer listed, goes on with those that still are, and puts new ids behind them.
//
// A persistent watch is set on the znode. Each write of the znode causes one event. The slot reads
// the znode only when it has counted more events than writes that it knows of.
//
// A slot whose znode is deleted, or holds a malformed list, registers anew: at once the first time, then
// after pauses of 1 s, 2 s, and so on up to 10 s if it happens again soon.
//
// # Taking a task
//
// A slot reads the payload and the state of a task in one request. It executes the task
// only if the state is pending. It leaves a state that is finished, gone, malformed or
// unreadable as it is, and only takes the task off its list. The commit replaces exactly
// the version of the state that was read.
//
// A slot reads up to three payloads ahead: 1,000 slots with payloads of 0.8 MB may hold
// 2.4 GB of them.
//
// # The commit
//
// One Multi (an atomic transaction) sets the slot's znode to its list without the task, at
// the version that the slot knows, and /tasks/<task> to the result, at the version that
// the slot has read. So a result counts only while this slot holds the task, and only
// once. A task is executed at least once, and committed exactly once.
//
//   - ZooKeeper refuses the write of the task: the slot reads the task. If it is still
//     pending, the slot sends the result again at the new version. If somebody has
//     finished or removed the task, or the slot may not write it, the slot only takes the
//     task off its list.
//   - ZooKeeper refuses the write of the slot's znode: the slot reads the znode, drops the
//     results of tasks that are no longer listed, and sends the others again.
//   - The answer is lost: the slot calls Sync and reads its znode. A task that is still
//     listed was not committed. The version of the znode does not tell: a take-back
//     raises it too.
//   - The session is over: the slot drops the result. The leader assigns the task again.
//
// # Tasks that the leader asks for
//
// A "-" before an id in the list asks the slot to return that task. The slot does not begin
// a marked task. It answers with one Set of its znode: its list without the marked tasks
// that it has not begun, and without marks. A task that was only read ahead has not begun.
// A commit that is due carries the answer in the same Set. A returned task is untouched:
// pending, at the same version. When the answer is lost, the slot calls Sync and reads its
// znode: what is listed without a mark is the slot's, what is still marked is answered
// again, and the rest was returned.
//
// # Leaving
//
// When Run's context ends, a slot leaves. One Multi commits the results that are ready,
// sets each other task to pending, and deletes the slot's znode at its version. A task that
// is given back keeps its losses and gets a new version, which tells the leader that
// nothing was lost. If the leader has just assigned a task, the version of the znode has
// changed: the Multi fails, and the slot gives that task back too. The slot logs what it
// cancels, how many tasks it gives back, and at the end "left".
//
// With Config.Drain the slot first finishes the task that it executes; a slot without a
// task leaves at once. Meanwhile the task stays in the list, so the slot is never free and
// gets no more. The Multi above commits the last result. What still runs when the time is
// over is cancelled and given back.
//
// # A task that cannot be begun
//
// When an execution ends with command.ErrCannotStart, the worker is at fault and not the
// task: the program is missing or may not be executed, or the machine is short of
// processes, memory or descriptors. The slot leaves as above. Without a znode it is
// assigned nothing, so a broken worker costs the queue one give-back a slot, and other
// workers get the tasks. If there are none, the tasks wait.
//
//	        cannot begin a task                 after a pause,
//	┌────────┐             ┌────────────────┐   one slot at a time ┌──────────┐
//	│ serves ├────────────►│ without znode  ├─────────────────────►│ on trial │
//	└────────┘             └─┬────────────▲─┘                      └─┬──────┬─┘
//	    ▲   the trial of     │            │      cannot begin a task │      │ has begun
//	    ├────────────────────┘            └──────────────────────────┘      │ a task
//	    │   another succeeded                                               │
//	    └───────────────────────────────────────────────────────────────────┘
//
// The slots of a process share the command and the machine. So one slot at a time is on
// trial, after pauses of 1 s, 2 s, and so on up to 30 s. A trial executes a real task:
// only a real start shows that the command can be started, and a start without a task is
// a run that nobody asked for. A task that the trial cannot begin is some milliseconds
// late. When the trial has begun a task, all slots register again. Slots that still serve
// go on until they meet the fault. The process logs the fault once as an error, and its
// end.
//
// A supervisor of a command may also end by itself while the command runs
// (command.ErrAbandoned). After that a trial succeeds only when a task was executed to its
// end.
//
// # The end of an execution
//
// An execution ends early, by its context, when
//
//   - it runs longer than Config.Timeout, or than the submitter allows: the task fails
//     with "timed out after …"
//   - the leader takes the task back
//   - the slot leaves
//   - the session is over
//   - the slot is cut off: no server has answered for the session timeout (Session.Live).
//
// The slot waits for the end of the execution, however long that takes. Until then it
// begins nothing else, and does not give the task back.
//
// While a slot is cut off, its session may be over and another worker may have the task.
// So the slot cancels the execution. If the session has survived, as it survives an outage
// of the servers, the slot reads its znode and executes again what is still listed. With
// Config.RunOn the execution goes on, and ends early only when the session is over. Then
// two workers may execute the task at the same time, and one result counts. A slot that is
// cut off begins nothing.
package worker
