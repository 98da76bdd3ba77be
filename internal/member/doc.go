// Package member makes a process a member of an installation: of all the programs that
// share one ZooKeeper tree.
//
//	znode             holds                                          written by        deleted by
//	/members          "protocol=1 version=1.4.0": the protocol of    a master that     nobody
//	                  all members                                    finds it empty
//	/members/<name>   "role=worker protocol=1 version=1.4.0",        each master and   its session's end
//	                  for people                                     worker process
//
// A process that serves HTTP (package web) adds its address, such as "http=node1:9180".
//
// The name is <host>:<pid>-<uuid>; a worker's begins with its queue and a dot.
//
// # The protocol
//
// The protocol is what programs write into the tree, and its meaning. Its number rises when a
// program of the previous version would misread something. So programs of different versions
// work together if all of them speak the number in /members. Every program reads the number
// first in each session, and watches it. A program that does not speak it ends, with an error
// that names both versions. Empty data mean 1.
//
//	            /members holds a number that
//	session ──► this version speaks ──────────► the role ──► the number changes to one that
//	    │                                                    it does not speak: the role ends
//	    └─────► it does not speak: ErrProtocol                      │
//	                  ▲                                             │
//	                  └─────────────────────────────────────────────┘
//
// A later version that speaks 1 and 2 speaks 1 while the number is 1. When all programs have
// such a version, an operator writes "protocol=2". An old program that still runs ends then,
// and gives back its tasks; nothing is misread.
//
// If /members may not be read or written, the process logs that once, and its role goes on. A
// process that could not register tries again every two seconds.
package member
