// Package inspect shows people what is in the tree and what is wrong with it. Only Mend
// writes. A missing permanent znode counts as empty.
//
//	Read     ─► Tree ─► Summarize ─► Status       who leads, who works, what is drained, the
//	                                              versions, and how many tasks wait
//	Watcher  ─► Tree ─► Summarize ─► Status       the same again and again; it reads changes only
//	Look     ─► Case ─► Explain   ─► Explanation  one task, and why it waits
//	Diagnose ─► Tree ─► Findings, in two looks    znodes that no program of ours leaves behind
//	                    Finding  ─► Mend          mends a finding
//
// Only Read, Watcher, Look, Diagnose and Mend do I/O. The first four begin with a Sync. The
// rest are pure functions of their results.
//
// # What a Tree is not
//
// A Tree is not a picture of one moment. Listings and reads take time, while the service goes
// on: a task that is assigned between the read of its worker and the read of the task counts
// as pending. A znode that vanishes meanwhile is left out. Only the beginning of a state is
// kept, so memory holds 64 whole states at a time, and all names.
//
// Ages are the difference of this machine's clock and the times in ZooKeeper's Stat, which
// come from the clock of the servers' leader. Ages are for people; nothing is decided by them.
//
// A process writes its version into its znode under /members. Its candidate or its workers
// have the same session as that znode; names could be equal. A candidate or worker without
// such a znode belongs to an older program, or a person made it.
//
// # Two looks
//
// A change in progress looks wrong for a moment: a result that is committed between two reads,
// a task that is withdrawn but not revoked yet. So Diagnose looks again after 1.5 s. It
// reports only findings of both looks on the same znode at the same mzxid: nobody has written
// the znode meanwhile.
//
// # Mending
//
// Names in the tree may be hostile: a command that a person pastes must not run text of
// somebody else. So a command is printed only if each name in it consists of letters, digits
// and ._@%+=:,- alone. Mend can mend every finding. It changes no znode that has changed since
// it was found: each write names the version that was read. If a znode is deleted because
// another one is missing, the Multi also creates and deletes the other one, so that the Multi
// fails if the other one exists.
package inspect
