// Package metrics counts what a master and a worker do, for Prometheus, by its conventions
// for names and base units (prometheus.io/docs/practices/naming).
//
// [Session], [Master] and [Worker] are what the packages of these names count with. Their
// methods may be called from any goroutine; those of a nil Master or Worker count nothing.
//
// A scrape asks ZooKeeper for nothing. What a leader knows of tasks and workers is asked of
// the leader itself (package master); a backup tells nothing of them.
//
// Labels are few: a queue, a result, a kind of request. No id of a task or a worker is one.
// Names of queues come from clients: after the first [MaxQueues] of a process, further ones
// are counted together, as "(other)"; the default queue is "(default)". No queue can have
// such a name.
package metrics
