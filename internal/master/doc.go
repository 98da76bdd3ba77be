// Package master assigns waiting tasks to free workers, for as long as it leads.
//
//	┌───────────┐ lowest candidate  ┌────────┐  ZooKeeper refuses a write, or
//	│  backup   ├──────────────────►│ leader ├─ the candidate's znode is gone ─┐
//	└───────────┘                   └────────┘                                 │
//	      ▲                                                                    │
//	      └──────────────── a new candidate ◄──────────────────────────────────┘
//
// A backup holds watches on /tasks and /workers, and ignores their events.
//
// # The parts of a leader
//
//	           hints                  events               moves, reads
//	watches ──────────► loop ───────────────► scheduler ──────────────────► loop
//	listers ──────────►  │  leader.go           sched                        │
//	           names     │                                                   │
//	                     └── reader.go: reads  ◄─────────────────────────────┤
//	                         apply.go: writes  ◄─────────────────────────────┘
//
// The scheduler is pure: internal/master/sched knows the tasks and the workers, and
// decides. The loop is one goroutine. It turns what it reads into the scheduler's events,
// and carries out what that decides. The listers list /tasks and /workers beside the loop
// when that takes long. The janitor and the watchdog have a goroutine each and share
// nothing with the loop but the number of its turns.
//
//	znode           read                               written
//	/tasks          listed at first, every 10 s, and   made when missing
//	                whenever it changes while many
//	                are assigned
//	/workers        listed when a name is unknown,     made when missing
//	                and every 10 s
//	/workers/<id>   at first, and when it changes      assigned, revoked, asked back
//	/drain          listed when it changes             made when missing
//	/drain/<name>   with each listing                  "drained", once what it names is free
//	/tasks/<id>     when in doubt: see sched           "pending n" or "failed" after a loss
//	/data           listed by the janitor              made when missing
//	/data/<id>      its Stat, by the janitor           removed by the janitor
//	/master/<own>   watched (internal/election)        once, as it is, by the janitor
//
// A task that nobody touched since it was created is at version 0: it is assigned
// without having been read, and the assignment checks the version. Where it was not so,
// the task and some behind it are read. So the usual task costs the leader a share of one read,
// of one Multi (an atomic transaction), and of one listing or three events.
//
// # Watches
//
// Where the servers know how (since ZooKeeper 3.6), a recursive watch on /workers tells of
// every change below it. The leader counts the events of each worker: its own writes make
// one as well, so that it reads a znode only when somebody else wrote it. An event of an
// unknown worker means "list again". Another such watch, on /tasks, tells of each task that
// comes or goes: the first one after some quiet is assigned without a listing. With many
// tasks that costs more than listings do, so from 2,000 assignments a second on it is
// removed, and a one-shot watch set that has /tasks listed, for at most a fifth of the time,
// and twice a second while every worker has enough to do. Older servers get a one-shot watch
// on each worker as well, which is set with every read.
//
// # Every write is fenced
//
// Each Multi begins with the check that the leader's candidate znode exists: the fence.
// A master that lagged and still believes to lead has its writes refused by
// ZooKeeper itself. When that very check fails, and only then, it is deposed: it
// drops what it knows and runs again.
//
// Each assignment also checks the task's version and the worker's, so that no
// decision made on an old view takes effect. Where an operation stands against a Multi,
// that move is merged as refused, and the others are decided again.
//
// # Draining
//
// A child of /drain names a host, a process as <host>:<pid>, or a worker. Its workers keep
// what they have, and get nothing more. When they are free the leader writes "drained" into
// the znode, once, before what a person wrote there. From then on nothing is assigned to
// them until the znode is deleted: this leader has read the znode, and every later one lists
// /drain before it decides. That costs a listing and a read of each child whenever one comes
// or goes, and every 10 s; and one write for each drain. No task costs more by it.
//
// # Retention
//
// What a client's session keeps that session's end removes. What outlives its client
// somebody is to collect. For Config.Retention above 0 the janitor removes, each in a
// fenced Multi at the version at which it looked,
//
//   - a finished task that was written longer ago than that, with its payload;
//   - a payload that was written longer ago than that, and that had no task in two
//     sweeps in a row.
//
// Age is the servers' time: the leader writes its candidate's znode once, and takes the
// time of that write and its own monotonic clock. So the retention time goes on through
// changes of leader, and a clock that somebody sets on the leader's machine removes
// nothing; one that is set on the servers counts. The time in an id only spares looks:
// at a task whose id was made within the retention time, by the submitter's clock.
//
// # What happens at each failure
//
//   - A worker's znode is gone: what it held is read. A first task at the
//     version at which it was assigned was lost with it: the next assignment
//     writes "pending n+1", or "failed" at the last loss allowed. A version that
//     moved means that it was finished or given back: nothing is counted, and the
//     log says that the worker left. For the others of its list nothing is counted, though
//     the second may have been begun while the first was committed; they go alone.
//     Nothing is counted either when the leader itself was out of touch with the
//     servers within the last two session timeouts: an outage ends sessions whose
//     workers are well, and a loss that is not counted only lets a task be tried
//     once more.
//   - A permanent znode may not be listed, or nothing created or deleted in it: that
//     is said once, and tried again every two seconds, or with the next sweep. The
//     leader goes on with what it knows.
//   - A task vanished from /tasks: it was withdrawn, and is revoked.
//   - An answer was lost: after a Sync the worker and the tasks of the move are read. A
//     removal is looked at again in the next sweep.
//   - A new leader starts with a Sync, and lists and reads everything before it
//     decides. What it does not know is losses that were not written yet.
//   - The connection is lost: reads wait, and so nothing is decided. After a reconnect
//     everything is read again.
//   - An event is lost: everything is read again every 10 s.
//   - A turn of the loop does not end: the watchdog calls Config.Stuck, which ends
//     the process and waits for nothing.
package master
