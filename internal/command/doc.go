// Package command executes tasks by a command of the operator's choice, one
// run of it for each task.
//
//	task                 the command
//	payload         ──►  {} within the arguments, or standard input
//	id              ──►  $TASK_ID; the worker's in $WORKER_ID
//	result          ◄──  standard output, byte for byte
//	failure         ◄──  exit status, or signal, and the end of standard error
//
// Where {} is used, standard input is empty: a command that reads keys from there
// (ffmpeg, ssh) would take the payload for those.
//
// A payload is data. It never chooses the program, and no shell of ours ever
// reads it: [Shell] hands it to the script as "$1". {} is accepted by itself, or amid
// plain text (out/{}.png), since other text may be code. Behind programs that run
// code or another program (sh, python, env) it is accepted only among the arguments
// of what they run, and behind those that join their arguments or read several as
// code (ssh, su, awk, xargs) nowhere. A program is known by its name without its
// version, and by the file that it is a link to. Every other program is trusted, but
// for the options that usually take code or a command (-c, -e, -x, --eval): {} cannot
// be their value. It cannot be seen from here that a program is a copy of a shell, that
// it reads another argument as code, or that it takes a payload which begins with a
// dash for an option (write -- before {}).
//
// With [Config.Any] the payload is the command line itself: [Split] makes words of it,
// no shell does. Standard input is empty, and {} stands for itself. Whoever may submit
// a task then runs what they want as the worker's user.
//
// # Whose fault
//
// An error that wraps [ErrCannotStart] is the worker's fault: the program or its
// interpreter is missing, may not be executed or is being written; processes,
// memory or descriptors ran out; the supervisor ended before the command began,
// or exited by itself later (see [ErrAbandoned]), as the Go runtime does when it gets
// no thread or memory. The task has not failed; another worker, or this one later, can
// execute it. All else is the task's failure: the command's exit status or
// signal, a payload that is no argument (too long, or with a zero byte), a result
// too large, and a supervisor killed by a signal, since the command itself may
// have sent it and would do so again on each worker.
//
// Where the payload names the program, a program that is missing (exit status 127) or
// cannot be executed (126) is the task's failure too. A shortage, and a program that is
// being written, stay the worker's fault.
//
// # The supervisor
//
// Each command is the child of a supervisor: this program again, started under
// another name, which [Supervise] recognizes. It sees to it that nothing of an
// execution outlives it. It executes one command at a time, and lives on for the next
// one: [Command] keeps those that are idle, as many as there were executions at a time.
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
// An idle supervisor ends with the socket.
//
// A request carries the descriptors of the command's standard files, which the worker has
// made for this command and reads itself. A supervisor reports the end of a command, and
// takes the next request, when it has no child: so nothing of a command is there when the
// next one begins, and no descriptor of one gets into another. What a command changes of
// its supervisor by other ways than signals (renice, prlimit) holds for later ones too.
//
// The worker closes the lifeline when the execution's context ends; that supervisor is
// not used again. When the worker dies, by whatever cause, the kernel does; so then too
// the command gets SIGTERM, and SIGKILL after Config.KillAfter. Where that is at most half
// the session timeout, the command is gone before its task is assigned again: the
// servers heard the worker a third of that time before its death, or later.
//
// What the command left running in the background is killed when it ends. Where nothing is
// left one system call tells that, and else all processes are looked at. Processes that fork
// and exit, again and again, are caught as well: the numbers of those that live are close to
// that of one that has ended just now, and only those are tried.
//
// In its session (setsid) a command has no terminal: /dev/tty cannot be opened, so
// a program that would ask a person there fails instead of being stopped for
// ever, and Ctrl-C is for the worker alone. A command that is stopped in another
// way (SIGSTOP) counts as running, for a time limit as well; a warning names it,
// once for each execution. Its descendants are not watched for that. A supervisor
// that is stopped is named in the same way, within about a second (on Linux). If it is
// stopped over and over while it is to end the command, it is killed, and so is the
// command's group. One that somebody stopped while it was idle is killed, and another one
// executes the next command; the same holds for one that was killed.
//
// # What holds where
//
//   - On Linux a supervisor adopts the orphans below it
//     (PR_SET_CHILD_SUBREAPER), so also those processes end that left the
//     process group. If it is killed itself, by SIGKILL, the command is killed
//     by the kernel and the rest of its group by the worker, which finds it by
//     $TASK_ID and $WORKER_ID where the supervisor had no time to tell its number;
//     what left the group lives on, and all that the command started does if the
//     worker is killed in the same moment.
//   - A worker that is process 1 (of a container) waits for the orphans that
//     become its children, see [ReapOrphans]: what left the group of a command
//     whose supervisor was killed, and what a person who looked in left behind.
//   - Elsewhere only the process group is ended, as soon as the command itself
//     has; what left the group lives on.
//   - A process that may not be killed, because it runs as another user, is
//     waited for.
//   - Who signals the commands as well as the worker, as systemd does without
//     KillMode=mixed, has tasks fail that would be given back or finished.
//   - While the worker is stopped (SIGSTOP), its commands run on, also past its
//     session: only a running process can close a lifeline. They are ended when
//     it continues, or dies.
package command
