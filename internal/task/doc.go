// Package task is the vocabulary that clients, workers and masters share: the
// ids, the znode paths, and the text in each znode. It knows nothing of
// ZooKeeper itself.
//
// # The znodes
//
//	path                      holds                                    written by          deleted by
//	/master/<uuid>-0000000007 who the candidate is, "host:pid"         the candidate       its session's end
//	/workers/<name>           the ids assigned to it, one a line       leader and worker   its session's end
//	/tasks/<id>               the task's state                         client, worker,     its client; the leader,
//	                                                                   leader (losses)     if it is not collected
//	/data/<id>                the payload, never changed               client              with its task
//	/drain/<name>             a note, or nothing; "drained" before it  client; leader      client
//	/members                  what all programs speak: package member  the first master    nobody
//	/members/<name>           what a process says of itself            master, worker      its session's end
//	/access                   who may do what: package access          an admin            an admin
//
// A "-" before an id in a worker's list asks the worker to return the task if it has not
// begun it. A list of more than MaxList ids is no worker's: nothing is assigned to it.
//
// All of it is plain text that a person reads and types in a ZooKeeper shell:
// every role can be played by hand.
//
// Times are not written down; ZooKeeper's own serve people (internal/inspect), and
// no decision. A task's ctime is its submission, the mtime of a finished one its
// end. A worker's mtime is when its list last changed. A candidate's ctime is when
// it joined; the leader writes its own znode once more, as it is, so that the mtime
// is since when it leads.
//
// # The state of a task
//
// One word; then, after one blank or newline, the rest as raw bytes:
//
//	pending                     no result yet (empty data means the same)
//	pending <n>                 the same; n executions were lost with their workers
//	pending: <facts>            the same, with what its submitter asks for
//	done <result>               finished, by hand
//	failed <reason>             finished, by hand
//	done: <facts>\n<result>     finished, by a worker that reports the execution
//	failed: <facts>\n<reason>   the same
//
// Facts are "key=value", separated by blanks. Keys that are not known are kept:
//
//	kind=command     asked for: the payload is a command line. A worker that executes none
//	                 fails the task, and one that executes only those fails others
//	timeout=<ms>     asked for: an execution that takes longer fails
//	losses=<n>       of a pending task: executions lost with their workers
//	worker=<id>      who executed it
//	began=<ms>       since 1970, by the worker's clock
//	ran=<ms>         how long it took
//	attempt=<n>      the executions lost, and this one
//	exit=<n>         of a command: its status, or the name of the signal that ended it
//	err=<bytes>      of a command: as many bytes at the end of the text are the end of what
//	                 it wrote to standard error
//	out=<bytes>      of a command that failed: as many bytes before those are what it wrote
//	                 to standard output
//
// Whoever writes a state leaves in it what was asked for. So a retry, a loss or a
// give-back does not drop it.
//
//	          submitted
//	              │
//	              ▼   a worker is lost: n+1
//	         ┌─────────┐ ◄─────┐
//	         │ pending │ ──────┘
//	         └─┬─────┬─┘
//	committed  │     │  its own error, or the last loss allowed
//	           ▼     ▼
//	       ┌──────┐ ┌────────┐
//	       │ done │ │ failed │ ───► pending, when someone has a detached
//	       └──────┘ └────────┘      task done again
//
// Every write of a state names the version that it replaces, so a finished
// state is never overwritten unknowingly. Any other word is neither pending nor finished:
// it is left alone.
//
// # Drains
//
// A child of /drain names a host, a process as <host>:<pid>, or a worker. What it names is
// given no task for as long as the znode is there. When none of those workers has a task,
// the leader writes "drained" before what the znode holds.
//
// # Names
//
// A task's id is a UUID of version 7 (RFC 9562): ids sorted by name are sorted by
// submission. Its last 48 bits are the same for all ids of one client process. A worker's
// name is <host>:<pid>-<uuid>. What stands before the first dot of either is its queue: a
// task is given to workers of its own queue. Without a dot it is the default queue. A name
// made by hand is any other child of /tasks or /workers; it works too.
package task
