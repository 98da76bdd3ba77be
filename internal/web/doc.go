// Package web is what a master or a worker serves over HTTP, to be looked at. Nothing here
// changes anything: every request but GET and HEAD is refused.
//
//	/metrics      for Prometheus (package metrics)
//	/healthz      200 while the process does its work, else 503 and why
//	/readyz       200 while it is of use: connected, and what it is to be, else 503 and why
//	/debug/pprof  profiles of the process, if asked for
//	/             the page, of a master; /events and /tree are what it shows, as server-sent events
//	/tasks        a table of tasks, as the leader knows them
//	/task?id=…    what client explain tells of a task
//
// /healthz says 200 unless the leader's loop is stuck. While ZooKeeper is away it says 200: no
// restart would help. /readyz says 200 while there is a connection to ZooKeeper; of a master,
// while it is leader or backup; of a worker, while one of its slots is registered, also while
// it drains.
//
// Only this machine reaches all that, unless --http names a host. It asks nobody who they are:
// for people elsewhere there is ssh -L, or a proxy that knows who they are, and asks for
// 127.0.0.1 or localhost. The page may be under a path there: all addresses are relative.
//
// # What the page shows
//
//   - Election: the candidates in their order; who watches whom; since when the leader leads;
//     for how long nobody led. After kill -9 the leader's znode stays until its session ends. A
//     backup's page that was open before notices the death at once, says that the leader does
//     not answer, and counts from then. Any other page knows only for how long there was no
//     znode of a leader, and says that.
//   - Tasks: by queue; those finished a second, and how long tasks wait and take, over the last
//     five minutes. A second in which no task was assigned or finished has no such time: there
//     the line has a gap.
//   - Workers: processes and their slots, and what each slot has. Drained slots take no more
//     tasks, and do not count as free. A worker that is lost with tasks stays for half a
//     minute, with their ids.
//   - ZooKeeper servers: mode, latency, connections; how many more may fail, of those in --zk;
//     since when none serves.
//   - Events: the last 1,000 lines of this master's log, without those of each task.
//   - Tree: the znodes as ZooKeeper has them, with a word on each; what has just changed is
//     marked. It is read once a second while somebody has it open.
//   - List tasks: those of a state, found by a part of their id, 50 at a time; a text is looked
//     for in the payloads of these 50.
//
// A backup's page shows and finds tasks and workers by the leader's page, if that can be
// reached. While it cannot, or nobody leads, the backup keeps what was known, and says how old
// that is.
//
// In an installation with a policy no payload is shown, but results, reasons of failures and
// standard error are, to everyone who reaches the port. No page tells the id of a session. With
// --page-cert and --page-key the page reads with a certificate of its own, such as a viewer's,
// and shows all that this certificate may read; with an admin's it shows payloads as well.
//
// # What it costs
//
// The page is sent changes, at most ten times a second, and to at most 200 readers. At least
// every 2 s it is sent the time; when nothing has come for 5 s, it says so, and loses its
// colours. A tab that is hidden reads nothing. /master is read whenever it changes, on a session
// of the page's own. While somebody reads, each server is asked srvr every 2 s, and the leader's
// loop once a second. Ten readers cost the service less than can be measured.
package web
