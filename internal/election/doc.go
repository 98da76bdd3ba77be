// Package election elects one leader among the candidates under /master.
//
//	path                       holds                           written by     deleted by
//	/master/<uuid>-0000000007  who it is, as the caller says,  the candidate  Resign, its session's
//	ephemeral, sequential      for people                                     end, anyone by hand
//
// What it holds decides nothing. It may be written again, as internal/master does
// to tell since when it leads; that wakes this candidate and the next one, which
// look and find that nothing has changed.
//
// The recipe is ZooKeeper's own ("ZooKeeper Recipes and Solutions", Leader
// Election). A candidate creates an ephemeral-sequential znode; the lowest
// number leads; every other one watches only its predecessor, so that a change
// wakes one candidate and not all.
//
//	                 Join
//	                  │ its znode is created
//	                  ▼
//	            ┌───────────┐ ◄──┐ predecessor vanished, not the lowest yet
//	            │  backup   │ ───┘ (it was a mere candidate)
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
// Any child of /master whose name ends in ten digits is a candidate, whatever
// stands before them and whether it is ephemeral or not, so that a person can
// run for it by hand. Other names are ignored.
//
// # What is promised
//
// That nothing counts which a leader writes after its znode is gone, provided
// that each of its writes is a Multi with the Term's Fence: the check that its
// own candidate znode is there. ZooKeeper carries out writes in one order; in
// that order the znode of the old leader is gone before another one is the
// lowest. No clock is involved. A znode's name is never used twice, so the check
// cannot pass by mistake.
//
// # What is not promised
//
// That at most one process believes to lead. One that was paused may wake and
// believe it for a moment, or for as long as it hears nothing.
//
// Anything against a person who makes a candidate with a number below the
// leader's, or makes a removed candidate's znode again at the same path: the old
// leader steps down, but until it has noticed what it writes counts. It watches
// /master, and so notices a lower number at once, or within a second where thousands
// of candidates come and go. ZooKeeper itself hands out no number twice.
//
// # Failures
//
//   - A predecessor that vanishes between the listing and the watch: the watch
//     is set by reading it, the read finds nothing, and all are listed again.
//   - A predecessor that may not be read (made by hand): it counts, and is looked
//     for every ten seconds.
//   - A lost reply to the creation of the znode: the name holds a UUID, so it is
//     found, if it is there and belongs to this session.
//   - Its own znode removed: it is watched too, and the candidate is out.
//   - /master may not be listed any more: that is said once, a leader leads on (the
//     fence does not need it), a backup waits, and both try again every two seconds.
//   - A connection that was lost: calls wait, and everything is read again
//     afterwards.
//   - /master removed: all candidates are out, and who joins next makes it again.
package election
