// Package worker executes the tasks that the leader assigns to it.
//
// A process hosts one or more workers, its slots, over one session. Each slot
// has an id and a znode of its own:
//
//	/workers/<name> ephemeral; empty = free, else the ids assigned to it, one a
//	                line. The leader writes it while it is free, the slot
//	                while it is not: they take turns. The leader's rare
//	                take-back, and its asking for tasks, are settled by the
//	                znode's version. The name is
//	                [queue.]<host>:<pid>-<uuid>, and is never used twice.
//	                Watched for good: a hint is about the slot's own write,
//	                unless there are more of them than versions it knows of.
//	/data/<task>    read once, with /tasks/<task>, by the slot that executes the
//	                task; those of the next few in its list meanwhile
//	/tasks/<task>   written once, when the slot commits, with the facts of the
//	                execution (see package task)
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
//	  told to stop: give back what is listed, leave    ▼
//
// A slot that registers anew does so at once the first time. Where its znodes go on to
// be deleted or spoiled soon after, it waits for 1 s, 2 s, and so on up to 10 s.
//
// # The take
//
// A slot reads the payload and the state of a task in one request, and executes the task
// only if it is pending. The state's version is the one that the commit replaces. A
// task that is finished already, gone, or whose state is malformed or unreadable is left
// as it is: the slot only takes it off its list.
//
// A slot reads up to three payloads ahead of the task that it executes: 1,000 slots with
// payloads of 0.8 MB may hold 2.4 GB of them.
//
// # The commit
//
// One Multi sets /workers/<name> to its list without the task, at the version
// known, and /tasks/<task> to its result, at the version that was read. So a
// result counts only if this very slot still holds the task, and only once. A
// task is executed at least once; it is committed exactly once.
//
//   - Refused at the task: it is read. Still pending: again, at that version.
//     Finished by another hand, gone, not ours to write, or no name of a znode:
//     the slot only frees itself.
//   - Refused at the slot's znode: it is read. What is no longer listed is
//     dropped, the rest goes again.
//   - The answer was lost: after a Sync the slot's znode is read. Still listed
//     means not carried out. The version says nothing, since it also moves
//     when the leader takes something back.
//   - The session is over: the result is dropped; the task is someone else's.
//
// New content of the slot's znode is taken by content: ids no longer listed are
// cancelled, those still listed go on untouched, new ones queue behind.
//
// # The answer
//
// A "-" before ids in the list asks for these tasks back. The slot begins none of them
// from the read on. It answers with one Set of its znode: the list less what was asked for
// and has not begun, without marks. To be read ahead is not to have begun. A commit that is
// due carries the answer in the same Set. What was returned is untouched: pending, at the
// same version. If the fate of the answer is unknown, the znode tells after a Sync: what is
// listed unmarked is the slot's, what is still marked is answered again, and the rest was
// returned.
//
// # Leaving
//
// A slot that is told to stop gives its tasks back at once: one Multi writes
// each as pending, with its losses unchanged but a new version, and deletes the
// slot's znode at its version. The new version tells the leader that nothing
// was lost. A slot that just got work while it left finds its version moved,
// and gives that back too.
//
// The log tells each step: that a task is cancelled, how many are given back, and
// "left" at the end.
//
// With Config.Drain it first finishes the task that it executes. It holds the
// znode with that task meanwhile, so it never is free and gets no more; then the
// Multi that deletes the znode commits the result as well, and gives back what
// else is listed. A slot that executes nothing leaves at once. What still runs
// when the time is over is cancelled and given back.
//
// # A task that cannot be begun
//
// An execution that ends with command.ErrCannotStart is the worker's fault, not the
// task's: the program is missing or must not be executed, or the machine is short of
// processes, memory or descriptors. The slot leaves as above: one Multi gives its
// tasks back, their losses unchanged, and deletes its znode. A slot without a znode
// is assigned nothing, so a broken worker costs the queue one give-back a slot, and
// the tasks go to other workers. Where there are none they wait.
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
// Only a real start tells that a command can be started again: an access check sees
// neither a file that is being written, nor a missing interpreter, nor a shortage.
// And to start the command without a task is a run that nobody asked for. So the
// trial takes a task, and gives it back where it cannot be begun: the task is some
// milliseconds late.
//
// The slots of a process share the command and the machine, so one of them is on
// trial at a time, after pauses of 1 s, 2 s, and so on up to 30 s. When it has begun a
// task all come back. Slots that still serve go on: each finds the fault by itself,
// or, where the machine is short of something, has enough of it. The process logs a
// fault once as an error, and its end.
//
// The supervisor of a command may also end by itself while the command runs
// (command.ErrAbandoned). Then a task that has begun proves nothing: the trial is
// over only when a task has been executed to its end.
//
// # The end of an execution
//
// A task fails with "timed out after …" when it runs longer than Config.Timeout, or than
// its submitter allows.
// An execution is told to end by its context: then, when its task is taken away,
// when the slot leaves, when the session is over, and when the slot is cut off. The
// slot waits for it, however long that takes: until then nothing else is begun, and
// its task is not given back.
//
// A slot is cut off when no server was heard for the session's timeout (Session.Live).
// By then the session may be over without a word, and the task assigned to another
// worker. The slot cancels the execution, so that there are not two at once. If the
// session survives, as it does an outage of the servers, the slot reads its znode and
// executes anew what is still listed. With Config.RunOn the execution goes on, and
// ends early only when the session turns out to be over; another worker may execute
// the task meanwhile, and one result counts. Nothing else is begun while cut off.
package worker
