// Package inspect tells people what is in the tree and what is wrong with it. But for
// Mend it writes nothing; a root znode that is missing is an empty one.
//
//	Read     ─► Tree ─► Summarize ─► Status       who leads, who works, what is drained, of
//	                                              which version, and how many tasks wait
//	Watcher  ─► Tree ─► Summarize ─► Status       again and again, of the tree what has changed
//	Look     ─► Case ─► Explain   ─► Explanation  one task, and why it waits
//	Diagnose ─► Tree ─► Findings, in two looks    what no program of ours leaves behind
//	                    Finding  ─► Mend          does what mends it
//
// Read, Watcher, Look and Diagnose are all the I/O, each behind a Sync; the rest are
// functions of what they return.
//
// # What a Tree is not
//
// A picture of one moment. Listings and reads come one after the other, many at a
// time, while the service goes on: a task that is assigned between the read of its
// worker and its own counts as pending. What vanishes meanwhile is left out. Of a
// state only the beginning is kept, so that memory holds 64 states at a time and
// the names of all.
//
// Ages are by this machine's clock and the times in ZooKeeper's Stat, which are by
// the clock of its servers' leader. They are for people; nothing is decided by them.
//
// A process tells its version under /members. Its candidate or its workers are found by
// their session, which is that of its member: names could be alike. Who has no member is
// an older program, or a person.
//
// # Two looks
//
// Things in motion look wrong for a moment: a result that is committed between two
// reads, a task withdrawn but not taken back yet. Diagnose looks again, a second and
// a half later, and reports what it finds both times on the same znode at the same
// mzxid: nobody has touched it meanwhile.
//
// # Mending
//
// Names in the tree may be hostile: what a person pastes must not run what somebody
// else wrote. So a command is printed only where each name in it is made of letters and
// digits and ._@%+=:,- alone; Mend does the others, and all of them. It changes nothing
// that has changed since it was found: each write names the version that was looked at,
// and a znode that is deleted for the lack of another one goes in a Multi that would
// create that one.
package inspect
