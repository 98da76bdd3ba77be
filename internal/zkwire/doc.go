// Package zkwire is the connection under go-zookeeper: what that library cannot do by
// itself, and nothing else. It sees the frames that the library writes to its
// connection and reads from it, and adds, joins and splits some of them. What a session
// is for, which calls it has and when it is over is for package session.
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
// A [Transport] is for one session. It makes its connections one after the other, in
// dial, and keeps what outlasts each of them: the session's id and timeout as granted,
// when a server was last heard, the size of requests that these servers take, how many
// reads go together, whether they know multi-reads. A conn is one connection: what is
// unsent, which reads are under way, who waits for the answer to an addWatch.
//
// # What it adds, and why
//
//   - TLS, as package identity has it. [Ask] speaks it as well.
//   - The handshake is bounded (handshakeBound): that of TCP, of TLS and of ZooKeeper
//     together. The library waits for 6.7 session
//     timeouts (10 times two thirds of one): with a timeout of 3 s and one of three
//     servers frozen, that took 20 s and lost the session.
//   - Silence is bounded (silenceBound), with pings (longPing) where a session timeout is
//     longer than 30 s: with one of 24 h the library notices a dead peer after 16 h.
//   - A round of the servers in vain is followed by a pause that is drawn (hosts): 50 ms to
//     0.5 s, where the library makes it 1 s. After an election of 0.4 s sessions are back
//     at once; before, after 1.2 s.
//   - A server counts as good once a connection lasted for 1 s (goodAfter). One that closes each
//     after the handshake was connected to some 100 times a second.
//   - Requests go out together while the socket is written to (send). A write of 64 callers
//     takes 16 µs of the client's processor time, and 38 µs in the library by itself. Without
//     runtime.Gosched it takes 21 µs. Buffers over 1 MB are not kept (keep): that is 21 MB of
//     memory after 48 writes of 0.8 MB at once.
//   - Reads go together while others are under way (reads). A read of 64 callers takes 16 µs, 24 µs
//     if they go one by one, and 45 µs in the library by itself. 8 at most in one request take
//     up to 45 µs, 16 take 26 µs, 64 take no less than 32. Fewer go together where answers
//     are large: 48 reads of 0.8 MB take 0.3 s, and 2 to 3 s with always 32 in one. The first
//     are 16, for then it takes 0.9 s, and 3 s with 32.
//   - Watches that stay (AddWatch), of which the library knows nothing. A change costs an
//     event, where a one-shot watch costs a request as well.
//   - A handshake tells of the answers that were kept from the library as well (seenSince):
//     else a server that lags behind would take the session, and show it what it was before.
//   - Reads and writes of the socket are not told to Go's scheduler (socket), on Linux: with
//     one processor and little to do each of them woke the runtime's monitoring thread. A
//     task costs 12 % less in all, and half a context switch.
//   - Requests that these servers do not take are found out (limits): with jute.maxbuffer at
//     262,144 a request of 300,000 bytes was sent again 207 times a second.
//   - No connection is made once the session is over: the library would go on with a new
//     session, and send there what is queued.
//
// The times are from BenchmarkCalls and tests like it, on 2 cores that the server shares.
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
// Servers know multiRead and addWatch since 3.6. Before, they answer with the error -6
// (KeeperException.Code.UNIMPLEMENTED) and close the connection. Then reads go one by one;
// who asked for a watch is told.
package zkwire
