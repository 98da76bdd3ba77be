// Package election elects one leader among the candidates under /master.
//
//	path                       holds                           written by     deleted by
//	/master/<uuid>-0000000007  the text that the caller of     the candidate  Resign, the end of
//	ephemeral, sequential      Join gave, for people                          its session, a person
//
// The text decides nothing. It may be written again, as internal/master does to record since
// when it leads. That write wakes this candidate and the next one. Both look, and find
// that nothing has changed.
//
// The recipe is ZooKeeper's own ("ZooKeeper Recipes and Solutions", Leader Election). A
// candidate creates an ephemeral-sequential znode: ZooKeeper appends a number to its name,
// and deletes the znode when the session ends. The candidate with the lowest number
// leads. Each other candidate watches only its predecessor, so that a change wakes one
// candidate and not all.
//
//	                 Join
//	                  │ its znode is created
//	                  ▼
//	            ┌───────────┐ ◄──┐ predecessor vanished, not the lowest yet
//	            │  backup   │ ───┘ (the predecessor was a backup too)
//	            └─┬───▲───┬─┘
//	      lowest, │   │   │ its znode is gone: removed by someone,
//	and its own   │   │   │ or its session is over
//	              ▼   │   │
//	            ┌─────┴┐  │   leader to backup: overtaken by a lower
//	            │leader│  │   number, which only a person makes
//	            └──┬───┘  │
//	   Resign, or  ▼      ▼
//	 znode gone ┌───────────┐
//	            │    out    │  to run again, Join again: a new znode
//	            └───────────┘
//
// Any child of /master whose name ends in ten digits is a candidate. The rest of the name,
// and whether the child is ephemeral, do not matter, so a person can run by hand. Other
// names are ignored.
//
// # What is promised
//
// No write of a leader has an effect once its znode is gone, if each of its writes is a
// Multi (an atomic transaction) with the Term's Fence: the check that its own candidate
// znode exists. ZooKeeper carries out writes in one order. In that order the old leader's
// znode is gone before another candidate is the lowest. No clock is involved. A znode's
// name is never used twice, so the check cannot pass by mistake.
//
// # What is not promised
//
// Two processes may believe at the same time that they lead. A process that was paused
// may wake and believe so for a moment, or for as long as it hears nothing.
//
// A person may make a candidate with a number below the leader's, or make a removed
// candidate's znode again at the same path. The old leader then steps down, but what it writes
// before it notices has effect. The leader watches /master, and so notices a lower number
// at once, or within a second if thousands of candidates come and go. ZooKeeper itself
// gives no number twice.
//
// # What happens at each failure
//
//   - A predecessor vanishes between the listing and the watch: the watch is set by a
//     read. The read finds no znode, and the candidate lists /master again.
//   - A predecessor may not be read (a person made it): it counts, and the candidate looks
//     for it every ten seconds.
//   - The reply to the creation of the znode is lost: the name holds a UUID, so the
//     candidate finds its znode, if the znode exists and belongs to this session.
//   - The candidate's own znode is removed: it is watched too, and the candidate is out.
//   - /master may not be listed any more: this is logged once. A leader leads on, because the
//     fence does not need the listing. A backup waits. Both try again every two seconds.
//   - The connection is lost: calls wait, and everything is read again afterwards.
//   - /master is removed: all candidates are out, and the next one to join makes /master
//     again.
package election
