package cli

import "taskkeeper/internal/identity"

// manEntry stands in the man pages of some programs.
type manEntry struct {
	name string
	of   []string // the programs; nil: all
	text string
}

// files are read by the systemd units.
var files = []manEntry{
	{"/etc/taskkeeper/taskkeeper.env", []string{"master", "worker"}, "The environment of the systemd units on this machine: ZK_SERVERS, ZK_TLS_CA, ZK_TLS_CERT and ZK_TLS_KEY, and more flags in MASTER_ARGS and WORKER_ARGS. It may be missing."},
	{"/etc/taskkeeper/master.env", []string{"master"}, "The environment of taskkeeper-master.service alone. It may be missing."},
	{"/etc/taskkeeper/worker-INSTANCE.env", []string{"worker"}, "The environment of taskkeeper-worker@INSTANCE.service alone. It may be missing."},
}

// environment lists the variables that the programs read, or that a worker sets for its commands.
var environment = []manEntry{
	{serversEnv, nil, "The ZooKeeper servers, as for --zk, which comes first."},
	{identity.CAVariable + ", " + identity.CertVariable + ", " + identity.KeyVariable, nil, "The files for TLS, as for --tls-ca, --tls-cert and --tls-key, each of which comes first. The commands of a worker do not get these variables."},
	{"GOMAXPROCS", nil, "How many processors the program uses at a time. Without it: 1."},
	{"NO_COLOR", nil, "If it is set, the log has no colours on a terminal."},
	{"TERM", nil, "If it is dumb, the log has no colours, and the client draws no bar."},
	{"TMPDIR", []string{"client"}, "The directory for waiting results of 'run' that do not fit into memory. Without it: /tmp."},
	{"TASK_ID, WORKER_ID", []string{"worker"}, "The worker sets them for each command: the ids of its task and of the worker's slot."},
	{"NOTIFY_SOCKET", []string{"master", "worker"}, "A service manager sets it. The program reports there when it is ready, and when it ends: see sd_notify(3). Commands do not get it."},
}

// exitStatuses are all statuses that the programs end with. Each man page has them all.
var exitStatuses = []struct{ status, of, text string }{
	{"0", "all programs", "All was done. --help and --version end with 0, too."},
	{"0", "master, worker, client without a command, client status --watch", "Ended by SIGINT, SIGTERM or SIGHUP, in order."},
	{"1", "all programs", "An error; one line on standard error says why. For example, a file for TLS cannot be used, or ZooKeeper does not answer within --wait at the start."},
	{"1", "client run, client wait", "A task failed; or, because of --deadline, --timeout, --halt or --fail-fast, it was not finished or was withdrawn."},
	{"1", "client submit, client cancel, client retry", "A task was not submitted, not removed, or not made pending again."},
	{"1", "client status", "A part of the tree may not be read. The rest is printed."},
	{"1", "client drain", "A name was not drained within --timeout, or somebody undrained it meanwhile."},
	{"1", "client access", "A znode was not closed or opened; or 'show' found one that does not obey the policy."},
	{"1", "client doctor", "Something is wrong in the tree, and was not mended."},
	{"1", "worker", "The limit of open files is too low for --slots."},
	{"1", "master", "The leader was stuck for the session timeout, or for 10 s if that is longer. It ended so that another master leads. Standard error has the stacks of its goroutines."},
	{"2", "all programs", "Wrong use: a flag, an argument, $ZK_SERVERS or $ZK_TLS_… cannot be understood. Nothing was done."},
	{"2", "all programs, by SIGQUIT, SIGABRT or a crash", "The program ended itself at once. Standard error has the stacks of its goroutines."},
	{"3", "client drain", "No worker of a name is registered. Nothing was drained. 'drain --missing-ok' does not end with 3."},
	{"3", "client wait, client cancel, client retry, client explain", "An id names no task: it is unknown, or the task was removed. This comes before 1. 'wait --missing-ok' does not end with 3."},
	{"129, 130, 143", "client with a command", "SIGHUP, SIGINT or SIGTERM (128 and the number of the signal) came before the answer was complete. Standard error says how far the command came."},
	{"128+N", "all programs", "A second signal, of number N, ended the program at once while it was ending in order."},
	{"141", "all programs", "Nobody reads standard output any more, as behind a pipe to head(1). The program ends without a message."},
}
