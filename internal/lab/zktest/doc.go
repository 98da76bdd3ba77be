// Package zktest gives tests, the demo and fault runs real ZooKeeper servers.
//
// A [Server] is a child process, started by scripts/zookeeper run on a free
// port of 127.0.0.1, with its files in a temporary directory:
//
//	          Start, Restart                    Pause
//	down ──────────────────────────▶ serving ◀─────────▶ paused
//	     ◀──────────────────────────         Resume         │
//	     ◀──────── Kill (SIGKILL), Terminate (SIGTERM) ─────┘
//
// Its data survives Kill and Terminate, until Stop. It writes with
// fsync (but for tests), and keeps every transaction in its log for checkers to read. It is killed
// when this process ends, however this process ends.
//
// An [Ensemble] is several servers that serve as one. On a [Network] each of them,
// and each program, has a host of its own, which can be cut off.
//
// A server with TLS refuses everyone without a certificate of its [CA]. Each of the [Roles] has
// a certificate. A ManualClient, and whatever else here talks to the server, is the admin. The
// server then keeps an audit log.
//
// In tests, TestMain calls [Main], and [Connect] gives each test a root of its own on a server
// that the package's tests share. [NewServer] starts a server to kill or pause. A [ManualClient]
// plays any role, as a person in the shell of ZooKeeper would. [Expire] ends anybody's session. A
// [Proxy] stands between a process and its server: it cuts the connection at an exact request,
// before or after the request was carried out, and can be silent or slow, or refuse everyone.
//
// A missing ZooKeeper or Java fails the tests; nothing is installed here
// (scripts/zookeeper install does it). Only what needs a Network is skipped, on a machine
// that does not allow for one.
//
// go-zookeeper has a data race of its own when a Conn that holds watches
// reconnects. Tests that make that happen are named TestReconnect… and live in
// files *_norace_test.go with the build constraint !race.
package zktest
