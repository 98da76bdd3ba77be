// Package member makes a process a member of an installation: of all the programs that
// share one ZooKeeper tree.
//
//	znode             holds                                          written by        deleted by
//	/members          "protocol=1 version=1.4.0", what all its       a master that     nobody
//	                  members speak                                  finds it empty
//	/members/<name>   "role=worker protocol=1 version=1.4.0",        each master and   its session's end
//	                  for people                                     worker process
//
// A process that serves HTTP (package web) adds where, such as "http=node1:9180".
//
// The name is <host>:<pid>-<uuid>, of a worker with its queue and a dot before it.
//
// # The protocol
//
// The protocol is what programs write into the tree and how they understand it. Its number
// is raised when a program of the version before would take something for what it is not.
// So programs of different versions work together as long as they speak the number that
// /members holds. Every program reads it when it begins a session, before it does anything
// else, and watches it. A program that does not speak it ends, with an error that names both
// versions. Empty data mean 1.
//
//	            /members holds a number that
//	session ──► this version speaks ──────────► the role ──► it changes to one that it
//	    │                                                    does not speak: the role ends
//	    └─────► it does not speak: ErrProtocol                      │
//	                  ▲                                             │
//	                  └─────────────────────────────────────────────┘
//
// A later version that speaks 1 and 2 works as 1 says while the number is 1. When all
// programs are of such a version, an operator writes "protocol=2". A program that was
// forgotten ends then, and gives back what it has; nothing is misunderstood.
//
// Where /members may not be read or written, that is logged once, and the role goes on. Whoever
// could not register tries again every two seconds.
package member
