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
package web
