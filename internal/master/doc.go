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
//	/tasks/<id>     when sched needs it                "pending n" or "failed" after a loss
//	/data           listed by the janitor              made when missing
//	/data/<id>      its Stat, by the janitor           removed by the janitor
//	/master/<own>   watched (internal/election)        once, as it is, by the janitor
//
// The leader assigns a new task without reading it: it takes the task's version for 0, and
// the assignment checks that. If the check fails, the task and some behind it are read. So
// a task usually costs the leader its share of one read, of one Multi (an atomic
// transaction), and of one listing, or three events.
//
// # Watches
//
// Since ZooKeeper 3.6 servers know recursive watches. One on /workers reports every change
// below it. The leader counts the events of each worker. Its own writes cause events as
// well, so it reads a worker's znode only when somebody else wrote it. An event of an
// unknown worker makes the leader list /workers.
//
// A recursive watch on /tasks reports each task that is created or deleted, so a task is
// assigned without a listing. With many tasks such events cost more than listings. From
// 2,000 assignments a second on the leader removes this watch and sets a one-shot watch:
// when /tasks changes it is listed, for at most a fifth of the time, and twice a second
// while every worker has enough to do.
//
// Older servers get a one-shot watch on each worker's znode, set with every read.
//
// # Every write is fenced
//
// Each Multi begins with the check that the leader's candidate znode exists: the fence.
// A master that lagged may still believe that it leads; ZooKeeper refuses its writes.
// When this check fails, and only then, the master is deposed: it drops all that it knows
// and joins the election again.
//
// Each assignment also checks the versions of the task and of the worker, so a decision
// from an old view has no effect. If one operation fails, its move counts as refused, and
// the other moves are decided again.
//
// # Draining
//
// A child of /drain names a host, a process as <host>:<pid>, or a worker. Its workers keep
// their tasks and get no more. When they are free, the leader writes "drained" into the
// znode, once, before a person's note. From then on they get no task until the znode is
// deleted: this leader has read the znode, and every later one lists /drain before it
// decides. It costs a listing and a read of each child whenever one comes or goes, and
// every 10 s, and one write for each drain.
//
// # Retention
//
// The tasks of a client vanish with the client's session. Detached tasks outlive their
// client until somebody collects their results. With Config.Retention above 0 the janitor
// removes, each in a fenced Multi at the version that it read,
//
//   - a finished task that was written longer ago than that, with its payload;
//   - a payload that was written longer ago than that, and that had no task in two
//     sweeps in a row.
//
// Ages are by the servers' clock: the leader writes its candidate's znode once, takes the
// time of that write, and adds its own monotonic clock. So ages survive a change of leader,
// and setting the clock of the leader's machine removes nothing. Setting the servers'
// clocks does. The janitor does not read a task whose id is younger than the retention
// time by the submitter's clock.
//
// # What happens at each failure
//
//   - A worker's znode is gone: the tasks of its list are read. If the first task is still
//     at the version at which it was assigned, it was lost with the worker: the next
//     assignment writes "pending n+1", or "failed" at the last loss allowed. If its
//     version has moved, the task was finished or given back: no loss is counted, and
//     the log says that the worker left. For the other tasks of the list no loss is
//     counted, although the second may have begun while the first was committed. Each of
//     them is assigned alone. No loss is counted when the leader itself had no connection
//     at some time within the last two session timeouts: an outage ends the sessions of
//     healthy workers, and a loss that is not counted only means one more attempt.
//   - The right to list a permanent znode, or to create or delete in it, is missing: the
//     leader logs that once, tries again every two seconds or with the next sweep, and
//     goes on with the rest.
//   - A task vanished from /tasks: it was withdrawn, and is revoked.
//   - An answer was lost: after a Sync the leader reads the worker and the tasks of the
//     move. The janitor looks at a removal again in its next sweep.
//   - A new leader starts with a Sync, and lists and reads everything before it
//     decides. It does not know losses that were not written yet.
//   - The connection is lost: reads wait, so nothing is decided. After a reconnect
//     everything is read again.
//   - An event is lost: everything is read again every 10 s.
//   - A turn of the loop does not end: the watchdog calls Config.Stuck, which ends the
//     process at once.
package master
