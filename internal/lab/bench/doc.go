// Package bench measures the service beside the bare ZooKeeper calls that its tasks consist
// of, and tells which of its targets are reached.
//
// # How it measures
//
// Each row has a service of its own: real programs in a new chroot, which is removed
// afterwards. The rows are measured in turns, in several rounds, so that a slow minute of the
// machine affects all of them. A row is compared with another one of the same round.
//
// # Where the time goes
//
// All figures are of a virtual machine with 2 cores, which servers, programs and bench share.
// A task costs 0.041 ms of processor time in the server and 0.052 ms in the three programs
// together; the bare calls of a task cost 0.066 and 0.042 ms. The service sends 0.16 requests
// for a task and the bare calls are 3: concurrent reads go to the server as one request (a
// multi-read), and a watch on a worker's znode stays (a persistent watch). Servers know both
// since ZooKeeper 3.6; with older ones each read is a request, and each watch is set again
// after it fires. With few tasks under way fewer reads go together.
//
// In the row throughput the processors are idle for a quarter of the time. A quarter of that
// is fsync. The rest is that the thousand tasks of a client's window move in groups, and each
// group waits for its requests: client run --window 2000 does a tenth more. A server that was
// just started needs four times the processor time for a task, until its JIT has compiled the
// code: 7,600 tasks a second in the first 3 s.
//
// Master, worker and client run on one processor each, because waking a second thread costs
// more than it gains; GOMAXPROCS gives one more. With GOMAXPROCS=2 64 slots do as much (16,096
// a second), and 64 callers do a tenth less; with the server on one processor alone 15,327 a
// second; with everything on one processor 9,507. The machine's speed varies by a third between
// days, the ratios less.
package bench
