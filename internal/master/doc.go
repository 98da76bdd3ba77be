// Package master maps waiting tasks onto free workers, for as long as it leads.
//
//	┌───────────┐ lowest candidate  ┌────────┐  ZooKeeper refuses a write, or
//	│  backup   ├──────────────────►│ leader ├─ the candidate's znode is gone ─┐
//	└───────────┘                   └────────┘                                 │
//	      ▲                                                                    │
//	      └──────────────── a new candidate ◄──────────────────────────────────┘
//
// A backup holds watches on /tasks and /workers, and skips what they tell.
//
// # The leader
//
// One goroutine, the loop, owns a view of /tasks and /workers. Watches, the
// lister and timers wake it; it reads again what they point at, decides, and
// carries out. The decision is a function of the view, without I/O.
//
//	znode           read                              written
//	/tasks          listed when it changes, for at    made when missing
//	                most a fifth of the time, and
//	                twice a second while plenty is
//	                queued
//	/workers        listed when it changes            made when missing
//	/workers/<id>   at first, and when somebody       assigned while it is empty; taken
//	                waits for its change              back what has been withdrawn
//	/tasks/<id>     only in doubt: see below          "pending n" or "failed" after a loss;
//	                                                  removed after the retention time
//	/data           listed once in a retention time   made when missing
//	/data/<id>      its Stat, when it has no task     removed with its task, or without one
//	/master/<own>   watched (internal/election)       once, as it is, after the first
//	                                                  assignments: its mtime tells people
//	                                                  since when this master leads
//
// Unassigned is what is listed in /tasks, pending, and in no worker's list. A
// task that nobody touched since it was created is at version 0: it is assigned
// without having been read, and the assignment's check says whether that was
// right. Where it was not, the task and some behind it are read, up to 1,024. So the
// usual task costs the leader a share of one listing and of one Multi.
//
// But version 0 says nothing of a task that was copied here, with its result, from
// another tree. Its id tells when it was made: one that was more than 10 s old when
// it was first listed is read before it is assigned, in time, together with others.
//
// A task that left a worker's list is set aside, most likely finished, and read again
// after 2 s if it is still there. One that was executed three times, by workers that
// live, and not written, is assigned ever more rarely, up to once in five minutes:
// its workers may not be allowed to write it. What is known to be finished is read
// again too, up to 500 a second, for it may be made pending again: of a large state
// only the Stat, unless it was written.
//
// # Turns
//
// While more tasks wait than there are workers, a worker whose turns are short is
// given several at a time, so that these share what an assignment costs: twice as
// many after each turn of up to 150 ms, fewer after one of over 300 ms, and never
// more than its share of the queue, nor than a hundredth of what was given since a
// task was found to be long: a turn is rarely to hold a long one. A task is long when
// its worker stands still for 50 ms, and for so many turns of others that each might
// have had two: where all stand still, the machine does. A task that was lost with a
// worker, or was in the list of one that was, goes alone: it may be what the worker
// died of.
//
// What a worker has not begun is taken back once its task is found to be long; when it
// stands still for 25 ms, another is free and nothing else waits; and when it stands
// still for 500 ms: no short task waits behind a long one beside a free worker. That
// is a take-back like any other: at the version of the worker's list, so that whoever
// comes second, this or a commit, is refused.
//
// # Few watches
//
// A watch fires once, for the leader's own write as well, and to set it again is a
// read of its own. A worker that has stood still for 50 ms is watched, busy or
// free: then it is seen at once what people type there, or that a long task is done.
// Before that, nobody waits for a worker as long as another is free, unless tasks
// stand behind its first. Of those that somebody may wait for a few are watched, the
// first of them; when one is done others are read as well, in one request, and ever
// more while all are done.
//
// # Every write is fenced
//
// Each Multi begins with the check that the leader's candidate znode exists. A
// master that lagged and still believes to lead has its writes refused by
// ZooKeeper itself. When that very check fails, and only then, it is deposed: it
// drops its view and runs again.
//
// Each assignment also checks the task's version and the worker's, so that no
// decision made on an old view takes effect. Operations that stand against a
// Multi cost the move they belong to, and no other.
//
// # Retention
//
// What a client's session keeps that session's end removes, and the leader does
// not touch it. What outlives its client somebody is to collect. The leader
// removes, for Config.Retention above 0,
//
//   - a finished task that was not collected within that time, with its payload.
//     The time runs since this leader first read that state, by the clock that
//     nobody sets. So a new leader starts anew, and so does a state written anew.
//     One Multi removes up to 300 tasks a tick, each at the version at which it
//     was read: one set back to pending, or collected, meanwhile is not removed.
//   - a payload that had no task in two listings at least that time apart, and at
//     least 10 s. It is the same payload: made no later than the first listing
//     was, and removed at the version at which it is looked at then.
//
// That a task is finished the leader learns by the reads that it makes anyway: a
// refused assignment, and again and again what was set aside. It reads the Stat
// with the state, and so a task that ends with its client costs nothing more.
// While there is no worker no assignment is refused: then each tick reads up to
// 500 queued tasks, each once.
//
// Where such a Multi is refused, all that it was to remove is looked at, and the
// rest goes again. What cannot be removed (a znode below it, no permission to look)
// is complained about once and left, until its state is written or another leads.
//
// # What happens at each failure
//
//   - A worker's znode is gone: what it held is read. A first task at the
//     version at which it was assigned was lost with it: the next assignment
//     writes "pending n+1", or "failed" at the last loss allowed. A version that
//     moved means that it was finished or given back: nothing is counted, and the
//     log says that the worker left. The others of its list had not started.
//     Nothing is counted either when the leader itself was out of touch with the
//     servers within the last two session timeouts: an outage ends sessions whose
//     workers are well, and a loss that is not counted only lets a task be tried
//     once more.
//   - A task that the next loss would fail is given to a process that executes no
//     other such: a process has many workers, and dies of one task. What workers
//     execute since before this leader is read for that, at once when such a task
//     waits, and within seconds anyway.
//   - A permanent znode may not be listed, or nothing created or deleted in it: that
//     is said once, and tried again every two seconds, or with the next removal. The
//     leader goes on with what it knows.
//   - A task vanished from /tasks: it was withdrawn, and is taken back.
//   - An answer was lost: after a Sync the worker's znode says what happened, or
//     whether the task to be removed is there.
//   - A new leader starts with a Sync, and lists and reads everything before it
//     decides. What it does not know is losses that were not written yet.
//   - The connection is lost: reads wait, and so nothing is decided.
//   - A watch is lost: everything is read again every 10 s and after a reconnect.
//   - The loop does not turn any more: the watchdog calls Config.Stuck, which ends
//     the process and waits for nothing.
package master
