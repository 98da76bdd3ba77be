// Package proc runs the built programs as child processes, for tests and the
// demo: it starts one, follows what it writes line by line, signals it and
// waits for its end.
//
// A child dies with its parent, however that dies. Its output is kept whole, so
// this is for runs whose output fits in memory.
//
// In tests, [Build] and [Run] fail the test instead of returning an error, and
// clean up after it.
package proc
