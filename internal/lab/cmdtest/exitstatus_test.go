package cmdtest

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// exitStatusRows has programs to run for each row of the man pages' table.
var exitStatusRows = map[string]func(t *testing.T, svc *service){
	"0  all programs": func(t *testing.T, svc *service) {
		for _, program := range []string{"master", "worker", "client"} {
			svc.start(program, "--help").Exit(0)
			svc.start(program, "--version").Exit(0)
		}
	},
	"0  master, worker, client without a command, client status --watch": func(t *testing.T, svc *service) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			watch := svc.start("client", "status", "--watch")
			watch.Line(watch.Stdout, "no leader")
			loop := svc.start("client")
			svc.tasks(1)
			for _, c := range []*harness.Child{svc.master(), svc.worker(), loop, watch} {
				c.Send(sig)
				c.Exit(0)
			}
		}
	},
	"1  all programs": func(t *testing.T, svc *service) {
		for _, command := range []string{"master", "worker", "client", "client run 0", "client status", "client status --watch", "client explain x", "client doctor", "client wait x"} {
			words := append(strings.Fields(command), "--zk", "127.0.0.1:1", "--wait", "100ms", "--log-level", "error")
			c := harness.Run(t, harness.Command{Path: filepath.Join(svc.dir, words[0]), Args: words[1:]})
			c.Exit(1)
			oneLine(t, c, words[0]+": no ZooKeeper at 127.0.0.1:1: ")
		}
	},
	"1  client run, client wait": func(t *testing.T, svc *service) {
		id := svc.submit("a")[0]
		svc.client("", "wait", "--timeout", "100ms", id).Exit(1)
		svc.client("", "run", "--deadline", "100ms", "b").Exit(1)
		svc.manual.Set("/tasks/"+id, "failed so")
		svc.client("", "wait", "--keep", id).Exit(1)
		c := svc.client("", "run", "--halt", "now,fail=1", "c", "d")
		ids := slices.DeleteFunc(svc.tasks(3), func(other string) bool { return other == id })
		svc.manual.Set("/tasks/"+ids[0], "failed so")
		c.Exit(1)
	},
	"1  client submit, client cancel, client retry": func(t *testing.T, svc *service) {
		svc.client(strings.Repeat("x", client.MaxPayload+1), "submit").Exit(1)
		id := svc.submit("a")[0]
		svc.client("", "retry", id).Exit(1)
		svc.manual.Set("/tasks/"+id, "done 1")
		svc.client("", "cancel", id).Exit(1)
	},
	"1  client status": func(t *testing.T, svc *service) {
		svc.dirs()
		svc.permit(task.TasksDir, zk.PermAll&^zk.PermRead)
		svc.client("", "status").Exit(1)
	},
	"1  client doctor": func(t *testing.T, svc *service) {
		svc.dirs()
		svc.client("", "doctor").Exit(0)
		svc.manual.Create("/data/old", "0.5")
		svc.client("", "doctor").Exit(1)
	},
	"1  client access": func(t *testing.T, svc *service) {
		svc.client("admin digest:nobody\n", "access", "close", "-").Exit(1) // no such id can be
	},
	"1  client drain": func(t *testing.T, svc *service) {
		svc.dirs()
		svc.client("", "drain", "--missing-ok", "node", "--wait", "--timeout", "100ms").Exit(1)
	},
	"3  client drain": func(t *testing.T, svc *service) {
		svc.dirs()
		svc.client("", "drain", "node").Exit(3)
		if got := svc.manual.Children("/drain"); len(got) > 0 {
			t.Errorf("drained: %q", got)
		}
		svc.client("", "drain", "--missing-ok", "node").Exit(0)
	},
	"1  worker": func(t *testing.T, svc *service) {
		c := harness.Run(t, harness.Command{Path: "/bin/sh", Args: append([]string{"-c", `ulimit -n 24 && exec "$0" "$@"`, filepath.Join(svc.dir, "worker")}, svc.with([]string{"--slots", "2", "--exec", "true"})...)})
		c.Exit(1)
		c.Line(c.Stderr, "worker: 2 slots need ")
	},
	"1  master": func(t *testing.T, svc *service) {
		proxy, behind := svc.via()
		leader := behind.master()
		leader.Line(leader.Stderr, " leader ")
		lost := proxy.Lose(zktest.OpMulti, 1, zktest.Naming("/workers/")) // no answer, though the session lives
		svc.worker()
		svc.submit("0")
		<-lost
		leader.Exit(1)
		leader.Line(leader.Stderr, "goroutine profile: ")
	},
	"2  all programs": func(t *testing.T, svc *service) {
		for _, command := range []string{"master x", "worker x", "client x", "client run --none", "worker --exec true --any-command", "client doctor --yes"} {
			words := strings.Fields(command)
			svc.start(words[0], words[1:]...).Exit(2)
		}
		harness.Run(t, harness.Command{Path: filepath.Join(svc.dir, "master"), Env: []string{"ZK_SERVERS=a:b"}}).Exit(2)
	},
	"2  all programs, by SIGQUIT, SIGABRT or a crash": func(t *testing.T, svc *service) {
		for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
			run := svc.client("", "run", "0")
			svc.tasks(1)
			for _, c := range []*harness.Child{run, svc.worker(), svc.master()} {
				c.Send(sig)
				c.Exit(2)
				c.Line(c.Stderr, "goroutine ")
			}
			svc.empty()
		}
	},
	"3  client wait, client cancel, client retry, client explain": func(t *testing.T, svc *service) {
		id := svc.submit("0")[0]
		svc.manual.Set("/tasks/"+id, "failed so")
		for _, verb := range []string{"wait", "cancel", "retry", "explain"} {
			svc.client("", verb, "none").Exit(3)
		}
		svc.client("", "wait", "--missing-ok", "none").Exit(0)
		svc.client("", "wait", "--keep", id, "none").Exit(3)
	},
	"129, 130, 143  client with a command": func(t *testing.T, svc *service) {
		id := svc.submit("0")[0]
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
			run := svc.client("", "run", "0")
			svc.tasks(2)
			run.Send(sig)
			run.Exit(128 + int(sig))
			wait := svc.start("client", "wait", id, "--log-level", "debug")
			wait.Line(wait.Stderr, "session")
			wait.Send(sig)
			wait.Exit(128 + int(sig))
		}
	},
	"128+N  all programs": func(t *testing.T, svc *service) {
		svc.master()
		w := svc.worker("--drain", "1h")
		svc.submit("3600")
		w.Line(w.Stderr, "task started")
		w.Send(syscall.SIGTERM)
		w.Line(w.Stderr, "draining")
		w.Send(syscall.SIGINT)
		w.Exit(128 + int(syscall.SIGINT))
	},
	"141  all programs": func(t *testing.T, svc *service) {
		for _, args := range [][]string{{"--help"}, {"status"}, {"run", "--dry-run", "x"}} {
			if status, stderr := svc.clientTo(nil, unread(t), args...); status != 141 || stderr != "" {
				t.Errorf("%q: %d, stderr %q", args, status, stderr)
			}
		}
	},
}

// The table of the man pages is compared with real runs.
func TestExitStatuses(t *testing.T) {
	t.Parallel()
	start := newService(t)
	var rows []string
	for _, m := range regexp.MustCompile(`(?m)^\.TP\n(.+)\n`).FindAllStringSubmatch(exitStatuses(t, installed(t), "client"), -1) {
		rows = append(rows, strings.NewReplacer(`\fB`, "", `\fR`, "", `\-`, "-").Replace(m[1]))
	}
	if want := slices.Sorted(maps.Keys(exitStatusRows)); !slices.Equal(slices.Sorted(slices.Values(rows)), want) {
		t.Errorf("the table has\n%s\nand these are tried\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	for row, try := range exitStatusRows {
		t.Run(strings.ReplaceAll(fmt.Sprint("of_", row), " ", "_"), func(t *testing.T) {
			t.Parallel()
			try(t, start(t))
		})
	}
}
