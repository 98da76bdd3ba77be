// Package closing gives an installation that is there already the ACLs of a policy, and
// takes them away again: package access says which, package session gives them to what is
// created from then on.
//
//	Close  ─► checks that the policy leaves its caller an admin
//	          /access, and the permanent znodes that are missing
//	          pass after pass, until one finds nothing: the chroot, /access, the permanent
//	          znodes, the servers' own /zookeeper and /zookeeper/quota, what is above the
//	          chroot, all children
//	Open   ─► a pass, /access is deleted, passes until one finds nothing
//	Look   ─► a pass that changes nothing
//
// Each of them may be killed anywhere and run again: what has its ACL is passed over.
// ZooKeeper knows no Multi of ACLs. So each is a call of its own, many at a time, at the
// version of the ACL that was looked at. What is created meanwhile by a program that has not
// heard of the policy yet is found by the next pass; a program that knows of no policies
// makes such znodes for ever, which is an error after some passes.
//
// The servers' own znodes, and those above the chroot, are common to all installations there.
// Who finds them closed by somebody else leaves them. Above the chroot they are left as well
// where others have znodes; they stay open then, and no quota bounds what is created there.
//
// A quota bounds how many tasks there may be, and how many bytes they hold: ZooKeeper's own,
// on /tasks and on /data, which the servers enforce if zoo.cfg has enforceQuota=true.
package closing
