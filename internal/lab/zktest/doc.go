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
// Its data survives Kill and Terminate, until Wipe or Stop. It writes with
// fsync, and keeps every transaction in its log for checkers to read. It dies
// with its parent, however the parent dies.
//
// An [Ensemble] is several servers that serve as one. On a [Network] each of them,
// and each program, has a host of its own, which can be cut off.
//
// With TLS a server takes nobody without a certificate of its [CA]. [Roles] have one each; a
// ManualClient, and whatever else here talks to the server, is the admin. The server then keeps
// an audit log.
//
// In tests, [Main] goes into TestMain, [Connect] gives each test a root of its
// own on a server that the package's tests share, [SharedWith] such a server with options,
// and [NewServer] a server to kill or pause. A [ManualClient] plays any role by hand, as a person in the shell of ZooKeeper
// shell would. [Expire] ends anybody's session. A [Proxy] stands between a process
// and its server: it cuts the connection at an exact request, before it or after
// it was carried out, and can be silent, slow or closed.
//
// A missing ZooKeeper or Java fails the tests; nothing is installed here
// (scripts/zookeeper install does it). Nothing is skipped, but what needs a Network
// on a machine that does not allow for one.
//
// go-zookeeper has a data race of its own when a Conn that holds watches
// reconnects. Tests that make that happen are named TestReconnect… and live in
// files *_norace_test.go with the build constraint !race.
package zktest
