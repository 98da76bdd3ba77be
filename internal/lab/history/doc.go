// Package history judges whole runs afterwards, from ZooKeeper's own
// transaction log: every write that was carried out, in order, with the session
// that asked for it. No program that took part has to tell the truth.
//
//	txns, err := history.Read(server.DataDir())
//	report := history.Check(history.Under(txns, "/chroot"), history.Options{Finished: true})
//	if err := report.Err(); err != nil …
//
// Read is all the I/O; the rest are functions of what it returns.
//
// # The log
//
// A server keeps its log in the files log.<zxid of the first transaction in hex>
// under version-2 of its data directory, and writes it before it answers. It
// starts a file with each start, and with each snapshot. Everything is big-endian
// (ZooKeeper's own serialisation, jute):
//
//	file     "ZKLG" · version 4 · database 8 · record… · zeros (files grow by 64 MB)
//	record   Adler-32 of the entry 8 · length 4 · entry · 'B'
//	entry    session 8 · cxid 4 · zxid 8 · time 8, ms · type 4 · body · digest
//
//	type                       body
//	create 1, 15               path · data · ACL · ephemeral 1 · parent's version 4
//	container 19, TTL 21       path · data · ACL · parent's version 4 (· TTL 8)
//	delete 2, 20               path
//	setData 5, reconfig 16     path · data · version afterwards 4
//	setACL 7, check 13         skipped
//	multi 14                   vector of (type 4 · body behind its length)
//	error -1                   code 4
//	createSession -10          timeout 4
//	closeSession -11           vector of paths removed; empty before 3.6
//
// Strings, data and vectors have their length before them, -1 for none. What a
// session's end removes is taken from the replay, so that it is known of every
// version. The digest, of the whole tree, is new in 3.6 and not looked at.
//
// What was refused is there too: an error in place of the transaction; of a multi
// an error in place of each operation from the refused one on. A session that the
// servers ended is closed by a request without a number (cxid 0).
//
// The zxids of one leader of the servers (its epoch is their upper half) are
// consecutive, so a file that is missing shows, except the last of an epoch.
// A record that a crash tore is never continued: the next file begins with its
// zxid.
//
// # Ensembles
//
// Each server has a log of its own. One that led when it was cut off, or died,
// may have logged what was never committed. When it joins again it removes that,
// or it gets a snapshot, and what it had logged since it was cut off stays in its
// log: void, with a gap behind it up to that snapshot. One that was away for long
// gets a snapshot as well, and has the gap alone. One whose first attempt to join
// failed has logged twice what it got (ZOOKEEPER-4394): Read takes it once.
//
// A multi that was refused is not logged by all with the same bytes: who applies it
// makes errors of the operations before the refused one, and sends that to those
// that join later. It reads the same.
//
// So a log without a gap, of a server that is joined, is the whole history. Read
// says so where it is not; Records reads what there is.
//
// # The rules
//
// A transaction is judged by what was before it and what is after it.
//
//	leader      only the session that owns the lowest candidate writes to
//	            another's worker znode, assigns, and counts losses
//	assign      a task comes into one live worker's list, which was empty, while
//	            it is pending and nobody else has it; it is taken back only when
//	            it was withdrawn. A worker returns only what it is asked for
//	commit      a task is finished once, and nothing is written over that: by the
//	            session of the worker that listed it, which takes it off its list
//	            in that transaction, or by the leader for its losses. One exception:
//	            a failed task that outlives its client is set back to "pending" by
//	            another than a master or a worker that lists it, and is finished anew
//	losses      n goes up by one, in the transaction that assigns the task again or
//	            fails it, and never exceeds the workers that vanished while they
//	            listed the task first, since it was last set back
//	give back   "pending n" with the same n is written by a worker that leaves, in
//	            that transaction; one that leaves, or frees itself, leaves no
//	            pending task behind
//	ids         a task, a payload, a worker or a candidate has its name once ever;
//	            task and payload are made together, by one owner, and a payload
//	            never changes
//	remove      what is not finished is removed by its client, by its end, or by
//	            anyone but a master: as a whole, unless it outlives its client. The
//	            leader, and no other master, removes results that outlive their
//	            clients, as a whole, and such payloads without a task; neither
//	            within the retention time after it was written, where that is known
//	drain       only the leader writes that something is drained, when the workers of
//	            that name list nothing; and none of them is assigned anything from
//	            then on, until that is removed
//	session     nothing of a session outlives it
//	end         when all have left, /master, /workers, /tasks and /data are empty
//
// What it cannot tell: what was executed (only what was assigned), and whether a
// refused or a missing write was wanted.
package history
