// Package closing gives an existing installation the ACLs of a policy, and takes them away
// again. Package access says which ACLs; package session gives them to new znodes.
//
//	Close  ─► checks that the caller stays an admin under the policy
//	          writes /access, and creates missing permanent znodes
//	          passes until one changes nothing: the chroot, /access, the permanent znodes,
//	          the servers' own /zookeeper and /zookeeper/quota, the znodes above the chroot,
//	          all children
//	Open   ─► a pass, deletes /access, passes until one changes nothing
//	Look   ─► a pass that writes nothing
//
// Each of them may be killed anywhere and run again: znodes that have their ACL are skipped.
// ZooKeeper has no Multi for ACLs. So each ACL is a call of its own, many at a time, at the
// version of the ACL that was read. A program that has not read the policy yet may create
// znodes meanwhile; the next pass finds them. A program that knows no policies creates such
// znodes for ever: after some passes that is an error.
//
// The servers' own znodes, and the znodes above the chroot, are common to all installations on
// the servers. If somebody else has closed them they are left alone. Znodes above the chroot
// are also left open if others have znodes there; then no quota bounds what others create.
//
// A quota bounds the number of tasks and the bytes of their payloads. It is ZooKeeper's own
// quota, on /tasks and on /data; the servers enforce it if zoo.cfg has enforceQuota=true.
package closing
