// Package zkwire makes the connections under go-zookeeper. It does what that library
// cannot do by itself, and nothing else: it sees the frames that the library writes and
// reads, and adds, joins and splits some of them. Package session has the calls, and
// decides when a session is over.
//
//	role            Get("/tasks/7")                              data, Stat
//	                     │                                            ▲
//	session         repeats it over lost connections;            names its errors
//	                adds the chroot                                   │
//	                     ▼                                            │
//	zk.Conn         encodes it, waits for its xid                decodes it
//	                     │ Write: one frame                           ▲ Read: one frame
//	 ┌───────────────────▼────────────────────────────────────────────┴──────────────┐
//	 │ conn         a read waits while others are under way      splits multi-reads  │
//	 │              appends addWatch and ping                    keeps their answers │
//	 │ send         all that is unsent, in one write             nextFrame           │
//	 └───────────────────┬────────────────────────────────────────────▲──────────────┘
//	                     ▼               TCP or TLS                   │
//	server               └─────────────── one request ────────────────┘
//
// A [Transport] is for one session. It makes connections one after the other, in dial, and
// keeps what outlasts a connection: the session's id and granted timeout, the time of the
// last frame from a server, the size of requests that these servers take, how many reads
// share a request, whether the servers know multi-reads. A conn is one connection: its
// unsent frames, its reads under way, the callers that wait for answers to addWatch.
//
// # What it adds, and why
//
//   - TLS, from package identity, also for [Ask].
//   - A bound for the handshake of TCP, TLS and ZooKeeper together (handshakeBound). The
//     library waits for 6.7 session timeouts (10 times two thirds of one). With a timeout
//     of 3 s and one of three servers frozen, that took 20 s and lost the session.
//   - A bound for silence (silenceBound), and pings (longPing) if the session timeout is
//     longer than 30 s. With one of 24 h the library notices a dead server after 16 h.
//   - A random pause of 50 ms to 0.5 s after all servers were tried in vain (hosts); the
//     library's is 1 s. After an election of the servers of 0.4 s sessions are connected
//     at once; with the library's pause, after 1.2 s.
//   - A server counts as good only when a connection has lasted for 1 s (goodAfter). Before,
//     a server that closed each connection after the handshake got 100 connections a second.
//   - Requests that wait while the socket is written to share the next write (send). A write
//     by 64 callers takes 16 µs of the client's processor time; with the library alone 38 µs,
//     without runtime.Gosched 21 µs. Buffers over 1 MB are not kept (keep): that saves 21 MB
//     of memory after 48 parallel writes of 0.8 MB.
//   - Reads that wait while others are under way share the next request (reads). A read by 64
//     callers takes 16 µs; in a request of its own 24 µs, with the library alone 45 µs. With
//     at most 8 in a request it takes up to 45 µs, with 16 it takes 26 µs, and with 64 no less
//     than with 32. After large answers fewer share a request: 48 reads of 0.8 MB take 0.3 s,
//     and 2 to 3 s if always 32 do. The first request has at most 16: then these reads take
//     0.9 s, and with 32 they take 3 s.
//   - Persistent watches (AddWatch), which the library does not know. A change costs one
//     event; with a one-shot watch it also costs a request.
//   - The handshake names the last transaction that any answer showed, also answers that the
//     library did not see (seenSince). If not, a server that lags behind could accept the
//     session, and show it an older state.
//   - The socket is read and written without Go's scheduler, on Linux (socket). With one
//     processor and little load each call woke the runtime's monitoring thread. A task costs
//     12 % less in all, and half a context switch less.
//   - It finds out which requests are too large for these servers (limits). With jute.maxbuffer
//     at 262,144 a request of 300,000 bytes was sent again 207 times a second.
//   - No connection is made after the end of the session: the library would open a new
//     session, and send the queued requests there.
//
// The times are from BenchmarkCalls and similar tests, on 2 cores shared with the server.
//
// # Frames
//
// All numbers are big-endian. A frame is its length in bytes (4, without itself), and
// records, which are those of org.apache.zookeeper.proto in zookeeper.jute:
//
//	request    RequestHeader   xid 4 · type 4, then the record of that type
//	reply      ReplyHeader     xid 4 · zxid 8 · err 4, then a record if err is 0
//	path       ustring         length 4 · bytes
//	data       buffer          length 4, or -1 for none · bytes
//
//	first request   ConnectRequest    passed on as it is, without a RequestHeader
//	first reply     ConnectResponse   protocolVersion 4 · timeOut 4, in ms · sessionId 8,
//	                                  or 0 when the session has expired · passwd
//	getData 4       GetDataRequest    path · watch 1
//	                GetDataResponse   data · Stat (org.apache.zookeeper.data.Stat) 68
//	multiRead 22    for each read:    MultiHeader · GetDataRequest
//	                then              MultiHeader, of type -1, done
//	                for each answer:  MultiHeader of type 4 · GetDataResponse, or
//	                                  MultiHeader of type -1 · ErrorResponse, err 4
//	                                  (org.apache.zookeeper.MultiOperationRecord, MultiResponse)
//	MultiHeader                       type 4 · done 1 · err 4
//	addWatch 106    AddWatchRequest   path · mode 4 (org.apache.zookeeper.AddWatchMode)
//	                ErrorResponse     err 4, which is 0: its ReplyHeader tells
//	ping 11         none              xid -2; a ReplyHeader alone answers it
//	event           WatcherEvent      xid -1; passed on as it is
//
// Servers know multiRead and addWatch since 3.6. Older servers answer with the error -6
// (KeeperException.Code.UNIMPLEMENTED) and close the connection. From then on each read is
// a request of its own; a caller of AddWatch gets the error.
package zkwire
