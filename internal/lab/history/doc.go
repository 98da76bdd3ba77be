// Package history judges whole runs afterwards, from ZooKeeper's own transaction log: every
// write that was carried out, in order, with the session that asked for it. The judge trusts
// no program that took part.
//
//	txns, err := history.Read(server.DataDir())
//	report := history.Check(history.Under(txns, "/chroot"), history.Options{Finished: true})
//	if err := report.Err(); err != nil …
//
// Read does all the I/O. The other functions depend on nothing but what it returns.
//
// # The log
//
// A server logs a transaction before it answers. The log is in the files log.<zxid of the first
// transaction, in hex> in version-2 of the data directory. Each start of the server and each
// snapshot begins a new file. Everything is in ZooKeeper's serialization (jute), big-endian:
//
//	file     "ZKLG" · version 4 · database 8 · record… · zeros (files grow by 64 MB)
//	record   Adler-32 of the entry 8 · length 4 · entry · 'B'
//	entry    session 8 · cxid 4 · zxid 8 · time 8, ms · type 4 · body · digest
//
// Strings, data and vectors have their length in front; -1 stands for none. The digest is of the
// whole tree, new in 3.6, and not read. The paths that the end of a session removes come from the
// replay: before 3.6 they are not in the log.
//
// Refused requests are in the log as well: a request as an error, a multi with an error for
// each operation from the refused one on. If the servers end a session, its closeSession has
// no request number: cxid is 0.
//
// The upper half of a zxid is the epoch of the servers' leader. In one epoch zxids are
// consecutive, so a missing file leaves a gap, except the last file of an epoch. A missing
// epoch is noticed when a later transaction needs a znode of it. A crash may tear the last
// record of a file. The server does not complete that record: the next file begins with its zxid.
//
// # Ensembles
//
// Each server has a log of its own. The log of a server that led when it was cut off or died may
// hold transactions that were never committed. When the server joins again, it either removes
// them, or gets a snapshot and leaves them in its log, with a gap up to the snapshot. A server
// that was away for long gets a snapshot too, and has only the gap. A server whose first attempt
// to join failed logs the same transactions twice (ZOOKEEPER-4394): Read returns each once.
//
// Servers log a refused multi with different bytes: a server that applies it replaces the
// operations before the refused one with errors, and sends that form to servers that join
// later. Both forms decode to the same transaction.
//
// So the log of a server that has joined is the whole history if it has no gap. Read fails if
// there is a gap; Records reads what there is.
//
// # The rules
//
// Check compares what each transaction changed with what was there before.
//
//	leader      only the session that owns the lowest candidate writes to another session's
//	            worker znode, assigns tasks, and counts losses
//	assign      a task comes into the empty list of one live worker, while the task is pending
//	            and no other worker lists it; the leader takes back only withdrawn tasks;
//	            a worker returns only tasks that it is asked for
//	commit      a task is finished once, and its final state stays: either the session of the
//	            worker that lists the task writes it, and takes the task off the list in the
//	            same transaction, or the leader does, for the task's losses. One exception:
//	            anyone but a master or its worker may set a failed detached task back to
//	            "pending", and then it is finished anew
//	losses      n goes up by one, in the transaction that assigns the task again or fails it;
//	            n is never more than the workers that vanished while they listed the task first,
//	            since it was last set back
//	give back   only a worker that leaves writes "pending n" with the same n, in the transaction
//	            in which it leaves; a worker that leaves, or frees itself, leaves no pending
//	            task behind
//	ids         the name of a task, a payload, a worker or a candidate is used once; a task and
//	            its payload are created together, by one owner; a payload never changes
//	remove      an unfinished task is removed by its client, by the end of its client's session,
//	            or with its payload by anyone but a master; the payload of a detached task may
//	            stay. Of the masters only the leader removes results of detached tasks, with the
//	            payload, and payloads without a task, and only after the retention time
//	drain       only the leader writes that something is drained, when the workers of that name
//	            list nothing; they are assigned nothing until the drain is removed
//	session     a session writes nothing after its end
//	end         when all programs have ended, /master, /workers, /tasks and /data are empty
//
// Check cannot tell what was executed, only what was assigned; nor whether a refused or a missing
// write was wanted.
package history
