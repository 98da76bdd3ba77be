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
//
// # The metrics
//
// All names begin with taskkeeper_. The leader alone tells of tasks and workers.
//
//	build_info                               both     its label is the version
//	is_leader                                master   whether it leads, as far as it knows
//	elections_total                          master   how often it was elected
//	tasks{queue,state}                       leader   pending, running; done or failed and not collected; malformed
//	workers{queue,state}                     leader   slots that are free, busy; those of both that are draining
//	oldest_pending_age_seconds{queue}        leader   by the clock of its client; 0: no task is pending
//	assignments_total{queue}                 master   tasks assigned
//	losses_total{queue}                      master   executions lost with their workers
//	fenced_writes_total                      master   writes that ZooKeeper refused, because another master led
//	leader_turn_seconds                      master   how long the leader's loop has been in one turn
//	leader_answers                           leader   0: its loop does not answer
//	listing_duration_seconds, listed{znode}  master   listings of /tasks and /workers: one every 10 s, and
//	                                                  more where a watch does not tell enough
//	execution_duration_seconds{queue,result} worker   histogram; result is done, failed or cancelled
//	task_waiting_seconds{queue}              worker   histogram; from submission to the beginning of an execution
//	slots{queue}, slots_busy{queue}          worker   slots that are registered, and that execute
//	zookeeper_connected                      both     1 while there is a connection
//	zookeeper_sessions_total                 both     sessions begun
//	zookeeper_reconnects_total               both     connections found again
//	zookeeper_request_duration_seconds{request} both  histogram
//	zookeeper_operations_total{operation}    both     what was sent within Multis
//
// # Prometheus
//
// A configuration for two masters with --http 9180 and a worker with --http 9181, with alerts:
//
//	rule_files: [/usr/local/share/taskkeeper/alerts.yml]
//	scrape_configs:
//	  - job_name: taskkeeper
//	    static_configs: [{targets: ["node1:9180", "node2:9180", "node1:9181"]}]
//
// These are the alerts of scripts/alerts.yml: no leader; a queue with tasks and no worker; a task that
// waits for an hour; lost executions; a connection that is lost again and again; a leader that
// is stuck, or slow. Each says what to do. They fit scrapes every 15 s and sessions of up to
// 40 s. With a longer --session-timeout, or fewer scrapes, give the first two a longer "for": a
// failover after kill -9 lasts for the session timeout and two ticks of the server.
// TaskkeeperLeaderStuck has no "for": a process that is stuck ends itself, and one scrape in
// three sees it before.
package metrics
