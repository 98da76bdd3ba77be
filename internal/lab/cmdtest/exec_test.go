package cmdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// nap returns a payload for sleep: an hour, written as no other process has it.
func nap() string { return fmt.Sprintf("3600.%d%d", os.Getpid(), time.Now().UnixNano()) }

// sleeping returns the processes of sleep that have a text among their arguments.
func sleeping(text string) (pids []string) {
	all, _ := os.ReadDir("/proc")
	for _, p := range all {
		line, err := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if err == nil && strings.HasPrefix(string(line), "sleep\x00") && strings.Contains(string(line), text) {
			pids = append(pids, p.Name())
		}
	}
	return pids
}

// asleep waits until there are n such processes.
func asleep(t *testing.T, text string, n int) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("%d processes of the command", n), func() (bool, string) {
		got := sleeping(text)
		return len(got) == n, fmt.Sprint(got)
	})
}

// naps is a command that starts several processes, which ignore SIGTERM. One of them leaves the
// process group.
const (
	naps     = `trap "" TERM; sleep "$1" & (setsid sleep "$1" &); sh -c "sleep $1; true"; sleep "$1"`
	napCount = 3
)

func TestExec(t *testing.T) {
	t.Parallel()
	start := newService(t)
	for name, c := range map[string]struct {
		args    []string
		payload string
		want    string // the result
		failure string // or why there is none
	}{
		"passes_an_empty_payload_as_an_empty_word":     {args: []string{"--exec", `printf '%s|%s' {} '={}='`}, payload: "", want: "|=="},
		"passes_a_payload_on_standard_input":           {args: []string{"--exec", "tr a-z A-Z"}, payload: "loud", want: "LOUD"},
		"passes_a_payload_as_a_word_behind_the_dashes": {args: []string{"--", "printf", "%s-%s", "{}", "a{}b"}, payload: "x y", want: "x y-ax yb"},
		"passes_a_payload_to_a_script":                 {args: []string{"--shell", "--exec", `echo "$1" | tr a b`}, payload: "a;a", want: "b;b"},
		"fails_with_the_end_of_standard_error":         {args: []string{"--shell", "--exec", `echo "bad $1" >&2; exit 4`}, payload: "egg", failure: "failed: exit status 4: bad egg"},
		"fails_with_the_name_of_a_signal":              {args: []string{"--shell", "--exec", `kill -KILL $$`}, payload: "x", failure: "failed: ended by SIGKILL"},
		"fails_a_command_at_its_time_limit":            {args: []string{"--exec", "sleep {}", "--timeout", "300ms"}, payload: "3600", failure: "failed: timed out after 300ms"},
		"fails_a_computation_at_its_time_limit":        {args: []string{"--timeout", "300ms"}, payload: "3600", failure: "failed: timed out after 300ms"},
		"fails_a_result_that_is_too_large":             {args: []string{"--shell", "--exec", `head -c "$1" /dev/zero`}, payload: "2000000", failure: "failed: result of 2000000 bytes is too large: at most "},
	} {
		t.Run(name, func(t *testing.T) {
			svc := start(t)
			svc.master()
			svc.worker(c.args...)
			client := svc.start("client", "run", "--quiet", c.payload)
			if c.failure == "" {
				client.Exit(0)
				if got := client.Stdout.String(); got != c.want {
					t.Errorf("stdout %q, want %q", got, c.want)
				}
				return
			}
			client.Exit(1)
			client.Line(client.Stderr, c.failure)
		})
	}
	t.Run("has_the_ids_of_task_and_worker_in_the_environment", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.worker("--shell", "--exec", `echo $TASK_ID $WORKER_ID`)
		c := svc.start("client", "--count", "1")
		c.Exit(0)
		words := strings.Fields(c.Stdout.String()) // task ID: sleep N s: result TASK WORKER after …
		at := len(words) - 4
		if at < 0 || words[at]+":" != words[1] || words[at+1] != svc.manual.Children("/workers")[0] {
			t.Errorf("stdout %q", words)
		}
	})
	t.Run("refuses_wrong_use_before_it_registers", func(t *testing.T) {
		svc := start(t)
		const alone = "--any-command executes the command lines of its tasks: leave --exec, --shell and a command behind -- out"
		for _, c := range []struct{ args, want string }{
			{"--exec|", "--exec: the command is empty"},
			{"--exec|no-such-program", `--exec: cannot run "no-such-program": executable file not found`},
			{"--exec|/etc/passwd", `--exec: cannot run "/etc/passwd": permission denied`},
			{"--exec|a 'b", `--exec: "a 'b": `},
			{"--exec|cat|--|cat", "--exec and a command behind -- exclude each other"},
			{"--|no-such-program", `behind --: cannot run "no-such-program"`},
			{"--", "nothing stands behind --"},
			{"cat", `unexpected argument "cat"; a command to execute stands behind --`},
			{"--shell", "--shell needs a command"},
			{"--exec|bash --rcfile /dev/null -c 'echo {}'", `--exec: {} after "bash": a payload may become code, a program or an option there: use a script`},
			{"--|git|-c|{}|x", `behind --: "-c {}": a payload may become code, a command or an option there: put -- before {} if `},
			{"--|ssh|host|ls|{}", `behind --: {} after "ssh": a payload may become code, `},
			{"--|cat|a;{}", `behind --: "a;{}": a payload may become code next to such text: put {} by itself, `},
			{"--shell|--exec|echo {}", "--exec: \"echo {}\": in a script {} "},
			{"--exec|cat|--timeout|0s", `--timeout: must be a duration from 1ms to 720h, such as 1m30s, not "0s"; leave the flag out for no limit`},
			{"--timeout|-1s", `--timeout: must be a duration from 1ms `},
			{"--drain|-1s", `--drain: must be a duration from 0s to 720h, such as 1m30s, not "-1s"`},
			{"--cut-off|x", `--cut-off: must be one of cancel, continue, not "x"`},
			{"--kill-after|x", `--kill-after: must be a duration from 0s to 1h, such as 1m30s, not "x"`},
			{"--slots|-1", `--slots: must be a number from 0 to 10000, not "-1"`},
			{"--any-command|--exec|cat", alone},
			{"--any-command|--shell|--exec|cat", alone},
			{"--any-command|--|cat", alone},
			{"--any-command|--trim", "--any-command keeps the output of commands as it is: leave --trim out"},
			{"--trim=no", `--trim: must be true or false, not "no"`},
		} {
			p := harness.Run(t, harness.Command{Path: filepath.Join(svc.dir, "worker"), Args: strings.Split(c.args, "|"), Env: []string{"ZK_SERVERS=" + svc.root}})
			p.Exit(2)
			oneLine(t, p, "worker: "+c.want)
		}
		if got := svc.manual.Children("/workers"); len(got) != 0 {
			t.Errorf("registered %q", got)
		}
	})
	for env, want := range map[string]int{"": runtime.GOMAXPROCS(0), "GOMAXPROCS=3": 3} {
		t.Run("with_slots_0_has_a_slot_for_each_CPU_"+env, func(t *testing.T) {
			svc := start(t)
			p := harness.Run(t, harness.Command{Path: filepath.Join(svc.dir, "worker"), Args: []string{"--slots", "0", "--zk", svc.root}, Env: strings.Fields(env)})
			zktest.Eventually(t, fmt.Sprintf("%d slots", want), func() (bool, string) {
				n := len(svc.manual.Children("/workers"))
				return n == want && logged(p, "registered") == want, fmt.Sprint(n)
			})
		})
	}
}

func TestExecInATerminal(t *testing.T) {
	t.Parallel()
	start := newService(t)
	// inTerminal starts a worker in a terminal of its own, as a person does.
	inTerminal := func(svc *service, args ...string) *harness.Child {
		t.Helper()
		words := append([]string{filepath.Join(svc.dir, "worker"), "--zk", svc.root, "--session-timeout", svc.timeout}, args...)
		for i, w := range words {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		p := harness.Run(t, harness.Command{Path: "script", Args: []string{"-qec", strings.Join(words, " "), "/dev/null"}})
		p.Line(p.Stdout, "registered")
		return p
	}
	t.Run("gives_a_command_no_terminal", func(t *testing.T) {
		svc := start(t)
		svc.master()
		inTerminal(svc, "--shell", "--exec", `read x </dev/tty; stty -F /dev/tty sane; cut -d" " -f7 /proc/self/stat`)
		c := svc.start("client", "run", "x")
		c.Exit(0)
		if got := c.Stdout.String(); got != "0" { // the number of its terminal
			t.Errorf("stdout %q", got)
		}
	})
	t.Run("reports_a_command_that_stops_itself_and_ends_it_at_the_time_limit", func(t *testing.T) {
		svc := start(t)
		svc.master()
		w := inTerminal(svc, "--shell", "--exec", `kill -STOP $$`, "--timeout", "1s")
		c := svc.start("client", "run", "x")
		w.Line(w.Stdout, "command is stopped and counts as running")
		c.Exit(1)
		c.Line(c.Stderr, "timed out after 1s")
	})
}

func TestExecEnds(t *testing.T) {
	t.Parallel()
	start := newService(t)
	// busy is a worker that executes naps, and the client that waits for it.
	busy := func(t *testing.T, args ...string) (svc *service, w, c *harness.Child, payload string) {
		t.Helper()
		svc = start(t)
		svc.master()
		w = svc.worker(append([]string{"--shell", "--exec", naps, "--kill-after", "300ms"}, args...)...)
		payload = nap()
		c = svc.start("client", "run", payload)
		asleep(t, payload, napCount)
		return svc, w, c, payload
	}
	t.Run("within_a_second_when_the_client_withdraws", func(t *testing.T) {
		svc, w, c, payload := busy(t)
		began := time.Now()
		c.Send(syscall.SIGTERM)
		asleep(t, payload, 0)
		if took := time.Since(began); took > time.Second+300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		svc.free()
		w.Line(w.Stderr, "taken away")
	})
	t.Run("at_the_time_limit", func(t *testing.T) {
		_, _, c, payload := busy(t, "--timeout", "2s")
		c.Exit(1)
		c.Line(c.Stderr, "timed out after 2s")
		if got := sleeping(payload); len(got) > 0 {
			t.Errorf("processes %q survive", got)
		}
	})
	t.Run("with_the_worker_by_SIGTERM_and_the_task_is_given_back", func(t *testing.T) {
		svc, w, c, payload := busy(t)
		w.Send(syscall.SIGTERM)
		w.Exit(0)
		if got := sleeping(payload); len(got) > 0 {
			t.Errorf("processes %q survive", got)
		}
		if got := svc.manual.Children("/workers"); len(got) != 0 {
			t.Errorf("workers %q are left", got)
		}
		svc.worker("--exec", "echo {}")
		c.Exit(0)
		if got := c.Stdout.String(); got != payload {
			t.Errorf("stdout %q", got)
		}
	})
	t.Run("with_the_worker_by_SIGKILL", func(t *testing.T) {
		svc, w, c, payload := busy(t)
		w.Send(syscall.SIGKILL)
		w.Exit(128 + 9)
		asleep(t, payload, 0)
		svc.worker("--exec", "echo {}")
		c.Exit(0)
	})
	t.Run("with_the_worker_by_a_second_signal", func(t *testing.T) {
		_, w, _, payload := busy(t, "--drain", "1m")
		w.Send(syscall.SIGTERM)
		w.Line(w.Stderr, "draining")
		w.Send(syscall.SIGINT)
		w.Exit(128 + 2)
		asleep(t, payload, 0)
	})
	t.Run("when_the_drain_is_over", func(t *testing.T) {
		svc, w, c, payload := busy(t, "--drain", "1s")
		w.Send(syscall.SIGTERM)
		w.Exit(0)
		if got := sleeping(payload); len(got) > 0 {
			t.Errorf("processes %q survive", got)
		}
		svc.worker("--exec", "echo {}")
		c.Exit(0)
	})
	t.Run("by_itself_in_a_drain_longer_than_the_session_timeout", func(t *testing.T) {
		svc := start(t)
		m := svc.master()
		dir := t.TempDir()
		w := svc.worker("--slots", "2", "--drain", "1m", "--shell", "--exec",
			`cd `+dir+`; >"$1".up; until [ -e "$1".go ]; do sleep 0.05; done; echo "$1 is done"`)
		c := svc.start("client", "run", "a")
		zktest.Eventually(t, "it runs", func() (bool, string) { _, err := os.Stat(dir + "/a.up"); return err == nil, "" })
		w.Send(syscall.SIGTERM)
		began := time.Now()
		w.Line(w.Stderr, "draining")
		more := svc.start("client", "run", "b")
		zktest.Eventually(t, "longer than the session", func() (bool, string) { return time.Since(began) > 5*time.Second, "" })
		if got := svc.manual.Children("/workers"); len(got) != 1 {
			t.Errorf("workers %q", got)
		}
		writeFile(t, dir+"/a.go", "")
		c.Exit(0)
		w.Exit(0)
		if got := c.Stdout.String(); got != "a is done" {
			t.Errorf("stdout %q", got)
		}
		if _, err := os.Stat(dir + "/b.up"); err == nil {
			t.Error("a draining worker took more")
		}
		if n := logged(m, "lost with"); n != 0 {
			t.Errorf("%d losses", n)
		}
		svc.worker("--exec", "echo {}")
		more.Exit(0)
	})
}
