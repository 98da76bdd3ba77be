// Package sched decides which worker gets which task. It is pure: no ZooKeeper, no
// clock, no logger. [Scheduler.Handle] takes an event: what the leader read, or the outcome
// of a write. [Scheduler.Decide] returns what to write, what to read, and when to decide
// again.
//
// # The states of a task
//
// Each task that a listing of /tasks or an event named has exactly one state. One function,
// become, changes the state and moves the task between the indexes.
//
//	state        entered when                            left for
//	Unverified   first named, and made by hand;          Pending: read as pending
//	             a write was refused, or its outcome     Exhausted: the last loss allowed
//	             is unknown; its worker is gone, or      Finished: read as done, failed or
//	             returned it; Released for a while         malformed, or not readable
//	Pending      first named, and made by a client;      Assigning: Decide
//	             read as pending                         Unverified: a task before it was refused;
//	                                                       a new leader found it
//	Assigning    Decide                                  Assigned: carried out
//	                                                     Pending: not sent
//	                                                     Unverified: refused, or outcome unknown
//	                                                     Released: may not be written now
//	Assigned     carried out; a worker's list names it   Released: left its worker's list
//	                                                     Unverified: its worker is gone, or
//	                                                       returned it
//	Released     left the last list that had it: most    Unverified: after a while
//	             likely it is finished
//	Finished     read so; failed by the leader           Pending: somebody set it back
//	Exhausted    the last loss allowed                   Failing: Decide
//	Failing      Decide                                  Finished: carried out
//	                                                     Exhausted: not sent
//	                                                     Unverified: refused, or outcome unknown
//	                                                     Released: may not be written now
//
// A task that a worker's list names becomes Assigned from any state. A task that a listing
// of /tasks lacks, or that an event reports as deleted, is forgotten in any state. If a
// worker still lists that task, the leader revokes it, but only when a listing lacks it that
// began after the worker's list was read. An older listing may lack a task that a person has
// just made and assigned.
//
// # Who gets what
//
// A task goes to a worker of its own queue. In each queue the submitters take turns, and
// each submitter's oldest task goes first; see [Order]. All tasks made by hand count as one
// submitter's. A task that was lost with its worker is assigned alone, and so is each task
// that stood behind it in the list. A task that the next loss would fail goes to a process
// that executes no other such task: if one of them kills the process, the other is not lost
// with it.
//
// A worker gets several tasks at once, a batch, while more tasks wait than there are workers
// and its batches are short; see batch.go. When a worker's list has not changed for some
// time, the leader asks for the tasks that the worker has not begun: after 12 ms if another
// worker of the queue is free and nothing is pending for it, else after 500 ms. The worker
// chooses what it returns; the leader takes nothing from it.
//
// A worker that /drain names (see [task.Drains]) gets no task. While its list is empty its
// state is drained, so that it is in no index of free workers.
//
// # Rules that each keep a guarantee
//
//   - Nothing is decided before /tasks, /workers and /drain were listed, every listed worker
//     was read, and the state of each list's first task was read: it holds the losses.
//   - After such a state the worker's list is read again. Until then no loss of the task is
//     counted: the worker may have given the task back between the two reads.
//   - Later, too, nothing is decided while the znode of a worker must be read: a person
//     may have assigned a task to it.
//   - A task is reserved from the decision until the outcome of the write is known.
//   - A task made by hand, or refused, is read before it is assigned.
//   - A task that left a worker's list is not pending before it was read again:
//     a task usually leaves a list because it is finished.
//   - A worker is gone only when a read of its znode said so.
//   - A loss is counted only if the task's version is still that of its assignment.
package sched
