// Package harness runs the built programs, on ZooKeeper servers of its own.
//
//   - [Start] runs one program as a child process: it follows what the program writes, line
//     by line, signals it and waits for its end. A child is killed when its parent ends,
//     in any way. Its output is kept whole, so this is for runs whose output fits in memory.
//   - [Cluster] is the servers and several programs, with their logs as one stream of events.
//
// In tests, [Build], [Run] and [Open], which opens a session, fail the test instead of
// returning an error, and clean up after it.
package harness
