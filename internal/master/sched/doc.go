// Package sched decides which worker gets which task. It is pure: no ZooKeeper, no
// clock, no logger. [Scheduler.Handle] takes an event, which is what was read or
// carried out. [Scheduler.Decide] returns what to write, what to read, and when to
// decide again.
//
// # The states of a task
//
// Each task that a listing of /tasks or an event named has exactly one state. One function,
// become, changes it and moves the task between the indexes.
//
//	state        entered when                            left to
//	Unverified   named, and made by hand;                Pending: read as pending
//	             refused, or its fate is unknown;        Exhausted: the last loss allowed
//	             its worker is gone, or returned it;     Finished: read as done, failed or
//	             Released for a while                      malformed, or not to be read
//	Pending      named, and made by a client;            Assigning: Decide
//	             read as pending                         Unverified: one before it was refused;
//	                                                       a new leader found it
//	Assigning    Decide                                  Assigned: carried out
//	                                                     Pending: not sent
//	                                                     Unverified: refused, or unknown
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
//	                                                     Unverified: refused, or unknown
//
// A worker's list that names a task makes it Assigned, whatever it was. A task that a
// listing of /tasks lacks, or of whose end an event tells, is forgotten in any state. If a
// worker lists it, it is revoked once a listing lacks it that began after the worker's list was read: a task
// that was made and assigned by hand just now is not in an older one.
//
// # Who gets what
//
// A task goes to a worker of its own queue. In a queue the submitters take turns, and
// each one's oldest task goes first; see [Order]. All that was made by hand is one
// submitter. A task that lost a worker, or that stood behind one that did, goes alone.
// A task that the next loss would fail goes to a process that executes no other such
// task: if it is what kills the process, it does not take the others along.
//
// A worker gets several tasks at once while more wait than there are workers and its
// batches are short; see batch.go. What it has not begun is asked back when it stands
// still: after 12 ms if another worker of the queue is free and nothing waits for it,
// else after 500 ms. The worker answers; nothing is taken from it.
//
// A worker that /drain names (see [task.Drains]) gets nothing. It has a state of its own when
// it lists nothing, so that it stands in no index of free workers.
//
// # Rules that each keep a guarantee
//
//   - Nothing is decided before /tasks, /workers and /drain were listed, every worker listed
//     was read, and the state of the first task of each was read: it tells the losses.
//   - That state counts as the one which the worker executes once its list was read again: it
//     may have given the task back between the two reads, which is no loss.
//   - Later, too, nothing is decided while the znode of a worker is to be read: a person
//     may have assigned a task to it.
//   - A task is reserved from the decision until its fate is known.
//   - A task made by hand, or refused, is read before it is assigned.
//   - A task that left a worker's list is not pending before it was read again:
//     leaving a list usually means that it is finished.
//   - A worker is gone only when a read of its znode said so.
//   - A loss is counted only if the task's version is still the one of its assignment.
package sched
