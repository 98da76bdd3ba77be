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

// nap is a payload for sleep: an hour, in words that no other process uses.
func nap() string { return fmt.Sprintf("3600.%d%d", os.Getpid(), time.Now().UnixNano()) }

// sleeping lists the processes of sleep that have a text among their arguments.
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

// asleep waits until that many of them are there.
func asleep(t *testing.T, text string, n int) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("%d processes of the command", n), func() (bool, string) {
		got := sleeping(text)
		return len(got) == n, fmt.Sprint(got)
	})
}

// naps is a command that starts several processes, deaf to SIGTERM; one leaves
// the process group.
const (
	naps     = `trap "" TERM; sleep "$1" & (setsid sleep "$1" &); sh -c "sleep $1; true"; sleep "$1"`
	napCount = 3
)

// answered checks that a program said something on stderr.
func answered(t *testing.T, c *harness.Child, want string) {
	t.Helper()
	for _, line := range c.Stderr.Lines() {
		if strings.Contains(line, want) {
			return
		}
	}
	t.Errorf("no %q in:\n%s", want, c.Stderr)
}

func TestExec(t *testing.T) {
	t.Parallel()
	start := newService(t)
	for name, c := range map[string]struct {
		args    []string
		payload string
		want    string // the result
		failure string // or why there is none
	}{
		"result_of_an_empty_payload":            {args: []string{"--exec", `printf '%s|%s' {} '={}='`}, payload: "", want: "|=="},
		"result_of_a_payload_on_standard_input": {args: []string{"--exec", "tr a-z A-Z"}, payload: "loud", want: "LOUD"},
		"result_of_words_behind_the_dashes":     {args: []string{"--", "printf", "%s-%s", "{}", "a{}b"}, payload: "x y", want: "x y-ax yb"},
		"result_of_a_script":                    {args: []string{"--shell", "--exec", `echo "$1" | tr a b`}, payload: "a;a", want: "b;b"},
		"reason_with_standard_error":            {args: []string{"--shell", "--exec", `echo "bad $1" >&2; exit 4`}, payload: "egg", failure: "failed: exit status 4: bad egg"},
		"reason_of_a_signal":                    {args: []string{"--shell", "--exec", `kill -KILL $$`}, payload: "x", failure: "failed: ended by SIGKILL"},
		"reason_of_a_command_out_of_time":       {args: []string{"--exec", "sleep {}", "--timeout", "300ms"}, payload: "3600", failure: "failed: timed out after 300ms"},
		"reason_of_a_computation_out_of_time":   {args: []string{"--timeout", "300ms"}, payload: "3600", failure: "failed: timed out after 300ms"},
		"reason_of_a_result_too_large":          {args: []string{"--shell", "--exec", `head -c "$1" /dev/zero`}, payload: "2000000", failure: "failed: result of 2000000 bytes is too large: at most "},
	} {
		t.Run(name, func(t *testing.T) {
			sv := start(t)
			sv.master()
			sv.behind(c.args...)
			client := sv.start("client", "run", "--quiet", c.payload)
			if c.failure == "" {
				client.Exit(0)
				if got := client.Stdout.String(); got != c.want {
					t.Errorf("stdout %q, want %q", got, c.want)
				}
				return
			}
			client.Exit(1)
			answered(t, client, c.failure)
		})
	}
	t.Run("knows_its_task_and_its_worker", func(t *testing.T) {
		sv := start(t)
		sv.master()
		sv.behind("--shell", "--exec", `echo $TASK_ID $WORKER_ID`)
		c := sv.start("client", "--count", "1")
		c.Exit(0)
		words := strings.Fields(c.Stdout.String()) // task ID: sleep N s: result TASK WORKER after …
		at := len(words) - 4
		if at < 0 || words[at]+":" != words[1] || words[at+1] != sv.hand.Children("/workers")[0] {
			t.Errorf("stdout %q", words)
		}
	})
	t.Run("refuses_wrong_use_before_it_registers", func(t *testing.T) {
		sv := start(t)
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
			{"--trim=no", `--trim: must be true or false, not "no"`},
		} {
			p := harness.Run(t, harness.Command{Path: filepath.Join(sv.dir, "worker"), Args: strings.Split(c.args, "|"), Env: []string{"ZK_SERVERS=" + sv.root}})
			p.Exit(2)
			oneLine(t, p, "worker: "+c.want)
		}
		if got := sv.hand.Children("/workers"); len(got) != 0 {
			t.Errorf("registered %q", got)
		}
	})
	for env, want := range map[string]int{"": runtime.GOMAXPROCS(0), "GOMAXPROCS=3": 3} {
		t.Run("slots_0_stands_for_the_number_of_CPUs_"+env, func(t *testing.T) {
			sv := start(t)
			p := harness.Run(t, harness.Command{Path: filepath.Join(sv.dir, "worker"), Args: []string{"--slots", "0", "--zk", sv.root}, Env: strings.Fields(env)})
			zktest.Eventually(t, fmt.Sprintf("%d slots", want), func() (bool, string) {
				n := len(sv.hand.Children("/workers"))
				return n == want && logged(p, "registered") == want, fmt.Sprint(n)
			})
		})
	}
}

func TestExecInATerminal(t *testing.T) {
	t.Parallel()
	start := newService(t)
	// inTerminal starts a worker in a terminal of its own, as a person does.
	inTerminal := func(sv *service, args ...string) *harness.Child {
		t.Helper()
		words := append([]string{filepath.Join(sv.dir, "worker"), "--zk", sv.root, "--session-timeout", sv.timeout}, args...)
		for i, w := range words {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		p := harness.Run(t, harness.Command{Path: "script", Args: []string{"-qec", strings.Join(words, " "), "/dev/null"}})
		p.Line(p.Stdout, "registered")
		return p
	}
	t.Run("a_command_has_none_to_wait_for", func(t *testing.T) {
		sv := start(t)
		sv.master()
		inTerminal(sv, "--shell", "--exec", `read x </dev/tty; stty -F /dev/tty sane; cut -d" " -f7 /proc/self/stat`)
		c := sv.start("client", "run", "x")
		c.Exit(0)
		if got := c.Stdout.String(); got != "0" { // the number of its terminal
			t.Errorf("stdout %q", got)
		}
	})
	t.Run("a_command_that_stops_itself_is_named_and_ended_by_the_time_limit", func(t *testing.T) {
		sv := start(t)
		sv.master()
		w := inTerminal(sv, "--shell", "--exec", `kill -STOP $$`, "--timeout", "1s")
		c := sv.start("client", "run", "x")
		w.Line(w.Stdout, "command is stopped and counts as running")
		c.Exit(1)
		answered(t, c, "timed out after 1s")
	})
}

// behind starts a worker whose flags may end in a command behind --.
func (sv *service) behind(args ...string) *harness.Child {
	sv.t.Helper()
	args = append([]string{"--zk", sv.root, "--session-timeout", sv.timeout}, args...)
	p := harness.Run(sv.t, harness.Command{Path: filepath.Join(sv.dir, "worker"), Args: args})
	p.Line(p.Stderr, "registered")
	return p
}

func TestExecEnds(t *testing.T) {
	t.Parallel()
	start := newService(t)
	// busy is a worker that executes naps, and the client that waits for it.
	busy := func(t *testing.T, args ...string) (sv *service, w, c *harness.Child, payload string) {
		t.Helper()
		sv = start(t)
		sv.master()
		w = sv.worker(append([]string{"--shell", "--exec", naps, "--kill-after", "300ms"}, args...)...)
		payload = nap()
		c = sv.start("client", "run", payload)
		asleep(t, payload, napCount)
		return sv, w, c, payload
	}
	t.Run("within_a_second_when_the_client_withdraws", func(t *testing.T) {
		sv, w, c, payload := busy(t)
		began := time.Now()
		c.Send(syscall.SIGTERM)
		asleep(t, payload, 0)
		if took := time.Since(began); took > time.Second+300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		sv.free()
		w.Line(w.Stderr, "taken away")
	})
	t.Run("when_it_runs_too_long", func(t *testing.T) {
		_, _, c, payload := busy(t, "--timeout", "2s")
		c.Exit(1)
		answered(t, c, "timed out after 2s")
		if got := sleeping(payload); len(got) > 0 {
			t.Errorf("processes %q survive", got)
		}
	})
	t.Run("with_the_worker_by_SIGTERM_and_the_task_is_given_back", func(t *testing.T) {
		sv, w, c, payload := busy(t)
		w.Send(syscall.SIGTERM)
		w.Exit(0)
		if got := sleeping(payload); len(got) > 0 {
			t.Errorf("processes %q survive", got)
		}
		if got := sv.hand.Children("/workers"); len(got) != 0 {
			t.Errorf("workers %q are left", got)
		}
		sv.worker("--exec", "echo {}")
		c.Exit(0)
		if got := c.Stdout.String(); got != payload {
			t.Errorf("stdout %q", got)
		}
	})
	t.Run("with_the_worker_by_SIGKILL", func(t *testing.T) {
		sv, w, c, payload := busy(t)
		w.Send(syscall.SIGKILL)
		w.Exit(128 + 9)
		asleep(t, payload, 0)
		sv.worker("--exec", "echo {}")
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
		sv, w, c, payload := busy(t, "--drain", "1s")
		w.Send(syscall.SIGTERM)
		w.Exit(0)
		if got := sleeping(payload); len(got) > 0 {
			t.Errorf("processes %q survive", got)
		}
		sv.worker("--exec", "echo {}")
		c.Exit(0)
	})
	t.Run("by_itself_in_a_drain_longer_than_the_session_timeout", func(t *testing.T) {
		sv := start(t)
		m := sv.master()
		dir := t.TempDir()
		w := sv.worker("--slots", "2", "--drain", "1m", "--shell", "--exec",
			`cd `+dir+`; >"$1".up; until [ -e "$1".go ]; do sleep 0.05; done; echo "$1 is done"`)
		c := sv.start("client", "run", "a")
		zktest.Eventually(t, "it runs", func() (bool, string) { _, err := os.Stat(dir + "/a.up"); return err == nil, "" })
		w.Send(syscall.SIGTERM)
		began := time.Now()
		w.Line(w.Stderr, "draining")
		more := sv.start("client", "run", "b")
		zktest.Eventually(t, "longer than the session", func() (bool, string) { return time.Since(began) > 5*time.Second, "" })
		if got := sv.hand.Children("/workers"); len(got) != 1 {
			t.Errorf("workers %q", got)
		}
		if err := os.WriteFile(dir+"/a.go", nil, 0o644); err != nil {
			t.Fatal(err)
		}
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
		sv.worker("--exec", "echo {}")
		more.Exit(0)
	})
}
