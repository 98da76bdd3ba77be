// Package access says who may do what with the znodes of an installation.
//
// The policy is a znode, /access below the chroot: a line for each role, with the ids
// that have it, as ZooKeeper's ACLs name them. What follows a # is a comment.
//
//	admin   x509:CN=tk-admin
//	master  x509:CN=tk-master
//	worker  x509:CN=tk-worker
//	client  x509:CN=tk-client x509:CN=alice   # each reads its own tasks only
//	viewer  x509:CN=tk-viewer
//
// Without the znode the installation is open: everyone may do anything. A policy that
// cannot be read is none of the two: then nothing is created (package session).
//
// Which ACL a znode has follows from the policy and from the place of the znode alone:
// the table in table.go. It is given when the znode is created; an ACL is not inherited.
// Who creates a task is the only client that may read it.
//
// testdata/matrix.golden shows what that comes to on a server: each znode, each call and each
// role, other calls, and who is not let in. testdata/calls says which request of the programs
// needs which of these rights. Tests keep table, server, code and both files the same.
//
// The package is pure: the I/O is that of package session (what is created) and of
// package closing (what is there already).
package access
