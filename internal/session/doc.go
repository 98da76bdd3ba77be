// Package session makes one ZooKeeper session a lifetime: it is opened, it is
// used, it ends, and nothing written through it ever lands in another one.
//
// go-zookeeper's Conn outlives its session: after an expiry it opens a new one
// by itself and sends on it what was still queued. Here one Conn is one
// session. When it expires, the library's own callback ends the session's context
// before the library goes on. Connections are made under that context: there is
// no other connection, and so no other session. Done closes, and the role starts
// over with a new Session: a new candidate, a new worker id, resubmission. The
// connections themselves, and what works around the library below its calls, are
// package zkwire's.
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
// Suspended is not over. After an outage of the servers of any length the
// session goes on; only a server's word ends it, because only the servers'
// clock counts. A server whose data was wiped never says that word: it closes
// every handshake of a client that has seen more than it has. A session that
// is refused like that for Config.GiveUp by a server which serves others is
// given up. Its znodes may still be there; they count as someone else's.
//
// # Calls
//
// Reads are repeated across lost connections until they are answered or the
// session is over. A Multi is sent once. It returns
//
//   - nil: it was carried out, as a whole;
//   - an *OpError: nothing was carried out, and which operation stood against it:
//     also that a quota is exceeded (ErrQuota);
//   - ErrTooLarge: it was not sent, for it exceeds MaxPacket or what these servers
//     have been found to take: they close the connection at what is too large;
//   - ErrUnknown: the connection was lost before the answer came. Call Sync,
//     then read: on the same session, whatever Sync overtakes has been carried
//     out or never will be;
//   - ErrOver: the session is over. It may have been carried out.
//
// What the servers throttled, read or Multi, is repeated, twice a second. Servers
// that demand authentication end the session, and Run with it.
//
// Many reads that are made at once cost the servers little more than one: see zkwire.
// Reads that set a watch go by themselves. Group does the same for writes.
//
// Calls take no context. They end at the latest with the session, and Run ends
// the session of a role that does not leave in time.
//
// # The policy
//
// What is created has the ACL that the installation's policy gives it: see package access.
// A session reads /access at its start, and watches it; where it may have changed, and after
// each reconnect, the next create reads it first. While it cannot be read, each create is
// refused like one for which a right is missing, so a role waits. Nothing else costs
// anything: in an open installation one read a session. Without a certificate of
// its own a creator has no id: then all clients of the policy may read its tasks.
//
// # Watches
//
// Watches are hints. Events arrive as paths in a Hints, coalesced; whoever
// takes them reads again. A reconnect hints at everything, because the library
// can lose an event there, or deliver data before the event. Event channels of
// the library are not used: they cannot be removed, and its common one drops
// what does not fit.
//
// A watch fires once, and to set it again is a request of its own. GetPersistentW
// sets one that stays, of which the library knows nothing either: for a znode that
// changes all the time. WatchTree sets one on a znode and all below it. Before 3.6 there is
// none, and whoever asks is told. Both end with the connection.
//
// Recipe and hazards: ZooKeeper Programmer's Guide, "ZooKeeper Sessions" and
// "ZooKeeper Watches".
package session
