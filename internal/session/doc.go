// Package session makes one ZooKeeper session a lifetime: the session opens, is used,
// and ends. No request made in one session is ever carried out in another one.
//
// A Conn of go-zookeeper outlives its session: after an expiry the Conn opens a new
// session, and sends on it the requests that were still queued. Here one Conn is one
// session. When the session expires, this package ends the session's context in the
// library's callback, before the library goes on. Connections are made under that
// context, so no further connection and no further session can follow. Done closes, and
// the role starts over with a new Session: a new candidate, a new worker id,
// resubmission. Package zkwire makes the connections.
//
//	             first handshake                       Close
//	Open ──────────────────────► connected ───────────────────────┐
//	  │                           │      ▲                        ▼
//	  │ ctx ends    socket closed,│      │ handshake,            over
//	  ▼             or silent for │      │ same session           ▲
//	error           two thirds of ▼      │                        │
//	                the timeout  suspended ───────────────────────┘
//	                              │      ▲   expired; or refused for long
//	                              └──────┘   by a server that serves
//	                        away for the session's
//	                        timeout: Live ends
//
// Suspended is not over. After an outage of the servers of any length the session goes
// on. It ends when a server reports that it has expired: only the servers' clock counts.
// A server whose data was deleted never reports the expiry: it closes each handshake of a
// client that has seen a later transaction than the server has. When a server that
// serves others has refused a session like that for Config.GiveUp, the session is given
// up. Its znodes may still exist; they count as someone else's.
//
// # Calls
//
// Reads are repeated across lost connections until they are answered or the
// session is over. A Multi is sent once. It returns
//
//   - nil: all operations were carried out;
//   - an *OpError: no operation was carried out. It names the operation that failed,
//     and why: a version, a right, a quota (ErrQuota);
//   - ErrTooLarge: it was not sent. It exceeds MaxPacket, or the limit found for these
//     servers: a server closes the connection when a packet is too large;
//   - ErrUnknown: the connection was lost before the answer arrived. Call Sync, then
//     read: after a Sync on the same session the Multi has been carried out, or never
//     will be;
//   - ErrOver: the session is over. The Multi may have been carried out.
//
// A read or a Multi that the servers throttled is repeated, twice a second. When the
// servers demand authentication, the session ends, and Run with it.
//
// Reads made at the same time share requests: see zkwire. A read that sets a watch is a
// request of its own. Group makes writes share requests.
//
// Calls take no context. They end at the latest with the session, and Run ends
// the session of a role that does not leave in time.
//
// # The policy
//
// Each new znode gets the ACL that the installation's policy gives it: see package access.
// A session reads /access at its start, and watches it. After a change, and after each
// reconnect, the next create first reads it again. While /access cannot be read, each
// create fails as if a right were missing, so a role waits. In an open installation the
// policy costs one read a session and one a reconnect. A session without a certificate
// has no id, so all clients of the policy may read the tasks that it creates.
//
// # Watches
//
// Watches are hints. Events arrive as paths in a Hints, coalesced; the owner of the Hints
// reads again. A reconnect hints at all paths: the library can lose an event there, or
// deliver data before the event. This package does not use the library's event channels:
// the channels of watches cannot be removed, and the common one drops events when full.
//
// A usual watch fires once, and setting it again is another request. GetPersistentW sets a
// persistent watch, for a znode that changes all the time. WatchTree sets a persistent
// watch on a znode and all below it. Servers before 3.6 know neither; both functions report
// that. Persistent watches end with the connection.
//
// Recipe and hazards: ZooKeeper Programmer's Guide, "ZooKeeper Sessions" and
// "ZooKeeper Watches".
package session
