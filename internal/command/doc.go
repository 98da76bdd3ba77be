// Package command executes tasks by a command of the operator's choice: one run of the
// command for each task.
//
//	task                 the command
//	payload         ──►  {} within the arguments, or standard input
//	id              ──►  $TASK_ID; the worker's in $WORKER_ID
//	result          ◄──  standard output, byte for byte
//	failure         ◄──  exit status, or signal, and the end of standard error
//
// Where {} is used, standard input is empty: a command that reads keys from there (ffmpeg,
// ssh) would take the payload for keys.
//
// A payload is data. It never chooses the program, and no shell of ours reads it: [Shell]
// passes it to the script as "$1".
//
// New accepts {} as a word, or amid plain text (out/{}.png); other text may be code. For
// some programs it accepts less:
//
//   - After programs that run code or another program (sh, python, env) {} must be an
//     argument of what they run.
//   - After programs that join their arguments, or read several as code (ssh, su, awk,
//     xargs), {} is refused.
//   - After all others {} may not be the value of an option that usually takes code or a
//     command (-c, -e, -x, --eval).
//
// A program is known by its name without the version, and by the name of the file that it
// is a link to. New cannot see that a program is a copy of a shell, that it reads another
// argument as code, or that it takes a payload with a leading dash for an option (write --
// before {}).
//
// With [Config.Any] the payload is the command line itself. [Split] splits it into words,
// without a shell. Standard input is empty, and {} stands for itself. Then anybody who may
// submit a task can run anything as the worker's user.
//
// # Who is at fault
//
// An error that wraps [ErrCannotStart] is the worker's fault. The task has not failed:
// another worker, or this worker later, can execute it. The causes are:
//
//   - The program or its interpreter is missing, may not be executed, or is being written.
//   - There are no processes, memory or descriptors to be had.
//   - The supervisor ended before the command began, or exited by itself later (see
//     [ErrAbandoned]), as the Go runtime does when it gets no thread or memory.
//
// Everything else is the task's failure: the command's exit status or signal; a payload
// that cannot be an argument (too long, or with a zero byte); a result that is too large;
// and a supervisor killed by a signal. The command itself may have sent that signal, and
// would send it again on each worker.
//
// With [Config.Any] the payload names the program. So a program that is missing (exit
// status 127) or cannot be executed (126) is the task's failure too. A shortage, and a
// program that is being written, are the worker's fault.
//
// # The supervisor
//
// Each command is the child of a supervisor: a process of this program under another name,
// which [Supervise] recognizes. The supervisor lets nothing of an execution outlive the
// execution. It executes one command at a time, and then waits for the next. [Command]
// keeps as many supervisors as there were executions at a time.
//
//	worker ─── holds the lifeline, a pipe; sends requests by a socket, gets reports
//	  └─ supervisor ─── reads the lifeline; adopts orphans
//	       └─ command ─── leads a session of its own; dies with the supervisor
//	            └─ whatever it starts
//
//	              a request  ┌─────────┐ the command ended  ┌─────────┐
//	start ──► idle ─────────►│ running ├───────────────────►│ killing │ SIGKILL to all that is
//	           ▲             └────┬────┘                    └─▲──┬──┬─┘ left, until nothing is
//	           │                  │ the lifeline              │  │  │
//	           │                  │ is closed    KillAfter is │  │  │ nothing is left, and the
//	           │             ┌────▼────┐         over         │  │  │ lifeline is closed
//	           │             │ ending  ├──────────────────────┘  │  ▼
//	           │             └────┬────┘ SIGTERM to the group    │ end
//	           │                  │ nothing is left              │
//	           │                  └─────────► end                │ nothing is left, and the
//	           └─────────────────────────────────────────────────┘ lifeline is open
//
// An idle supervisor ends when the socket is closed.
//
// A request carries the descriptors of the command's standard files. The worker has made
// them for this command, and reads them itself. A supervisor reports the end of a command,
// and takes the next request, only when it has no child. So the next command meets no
// process and no descriptor of an earlier one. Only what a command changes of the
// supervisor itself (renice, prlimit) holds for later commands too.
//
// The worker closes the lifeline when the execution's context ends, and does not use that
// supervisor again. When the worker dies, the kernel closes the lifeline, so then too the
// command gets SIGTERM, and SIGKILL after Config.KillAfter. If KillAfter is at most half
// the session timeout, the command is gone before the task is assigned again: the servers
// last heard from the worker at most a third of the session timeout before it died.
//
// The supervisor kills what a command has left in the background. One system call tells
// whether there is anything; if so, the supervisor looks at all processes. Processes that
// fork and exit again and again are caught too: their process ids are close to that of a
// process that has just ended, and the supervisor tries those.
//
// A command has a session of its own (setsid), and so no terminal. A program that would
// ask a person at /dev/tty fails, instead of being stopped for ever, and Ctrl-C reaches
// only the worker. A command that is stopped otherwise (SIGSTOP) counts as running, for a
// time limit too. One warning for each execution names the command; its descendants are
// not watched.
//
// A stopped supervisor is named in the same way, after about a second (on Linux). If it is
// stopped again and again while it ends a command, it is killed together with the
// command's group. A supervisor that was stopped or killed while idle is replaced.
//
// # What holds where
//
//   - On Linux a supervisor adopts orphans (PR_SET_CHILD_SUBREAPER), so processes that
//     left the process group end too. If somebody kills the supervisor with SIGKILL, the
//     kernel kills the command, and the worker kills the rest of the command's group. If
//     the supervisor had no time to report the group, the worker finds it by $TASK_ID and
//     $WORKER_ID. Processes that left the group live on. If the worker is killed in the
//     same moment, all that the command has started lives on.
//   - A worker that is process 1 of a container waits for the orphans that become its
//     children, see [ReapOrphans]: those of a killed supervisor, and those of a person who
//     looked into the container.
//   - Elsewhere only the process group is ended, when the command has ended. Processes
//     that left the group live on.
//   - The supervisor waits for a process that it may not kill, because the process runs as
//     another user.
//   - A service manager that signals the commands as well as the worker, as systemd does
//     without KillMode=mixed, makes tasks fail that would be given back or finished.
//   - While the worker is stopped (SIGSTOP), its commands run on, also after the end of its
//     session: a stopped worker closes no lifeline. The commands are ended when the worker
//     continues or dies.
package command
