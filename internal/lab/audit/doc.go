// Package audit judges by a policy what ZooKeeper's audit log says of a run: who wrote what,
// and who was refused.
//
// The audit log names the session, its identity, the operation and the znode of each write.
// Of an attempt that failed it does not say why: that is in the log of transactions, where an
// attempt that was refused has a code. Of a Multi that failed neither says which znode it was
// about.
package audit
