package cmdtest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/inspect"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// dirs makes the permanent znodes by hand.
func (svc *service) dirs() {
	svc.t.Helper()
	for _, d := range task.Dirs() {
		svc.manual.Put(d, "")
	}
}

// chroot is the path of the service's root, and addr the address of the server.
func (svc *service) chroot() string { return svc.root[strings.Index(svc.root, "/"):] }
func (svc *service) addr() string   { return strings.TrimSuffix(svc.root, svc.chroot()) }

// says runs a client's command that ends with the status, and returns its output.
func (svc *service) says(status int, args ...string) (stdout, stderr string) {
	svc.t.Helper()
	c := svc.start("client", args...)
	c.Exit(status)
	return c.Stdout.String(), c.Stderr.String()
}

// status returns what `client status --json` prints.
func (svc *service) status() (s inspect.Status) {
	svc.t.Helper()
	out, _ := svc.says(0, "status", "--json")
	return svc.parse(out)
}

func (svc *service) parse(line string) (s inspect.Status) {
	svc.t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || d.More() {
		svc.t.Fatalf("%v, in %s", err, line)
	}
	return s
}

// matches fails unless a regular expression matches the whole of a text.
func matches(t *testing.T, got, want string) {
	t.Helper()
	if !regexp.MustCompile(`^(?:` + strings.TrimSpace(want) + `)$`).MatchString(got) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("shows_a_service_at_work", func(t *testing.T) {
		svc := start(t)
		first := svc.master()
		svc.master()
		w := svc.worker("--slots", "2")
		svc.start("client", "run", "3600", "3600", "3600")
		w.Line(w.Stderr, "task started")
		eventually(t, "two run, one waits", func() (bool, string) {
			s := svc.status()
			return *s.Tasks.Running == 2 && s.Tasks.Pending == 1, fmt.Sprintf("%+v", s)
		})
		out, errs := svc.says(0, "status")
		matches(t, out, `
leader    \S+:\d+, for [\d.ms]+: /master/[0-9a-f-]{36}-0000000000
backups   1: \S+:\d+
workers   2: 2 busy, 0 free
tasks     3: 1 pending \(the oldest for [\d.ms]+\), 2 running
versions  \S+: 3 processes

host +process +busy +version +has +for
[\w-]+ +\d+ +2/2 +\S+ +[0-9a-f-]{36} and 1 more  [\d.ms]+`)
		if errs != "" {
			t.Errorf("stderr %q", errs)
		}

		before := svc.status()
		switchover := time.Now()
		first.Send(syscall.SIGTERM)
		first.Exit(0)
		eventually(t, "the backup leads, and since then", func() (bool, string) {
			s := svc.status()
			// Times in ZooKeeper are whole milliseconds.
			since := s.Leader != nil && !s.Leader.Since.Before(switchover.Truncate(time.Millisecond))
			return since && s.Leader.Candidate == before.Backups[0].Candidate, fmt.Sprintf("%+v", s.Leader)
		})
		s := svc.status()
		if before.Backups[0].Since.After(switchover) || len(s.Backups) != 0 || len(s.Warnings) != 0 {
			t.Errorf("before %+v\nafter %+v", before, s)
		}
		for _, one := range s.Workers.List {
			if stat, _ := svc.manual.Stat("/workers/" + one.ID); one.PID != w.Pid() || one.Host == "" || one.Queue != "" || len(one.Tasks) != 1 || !one.Since.Equal(time.UnixMilli(stat.Mtime)) || one.Seconds <= 0 {
				t.Errorf("worker %+v", one)
			}
		}
	})
	t.Run("warns_of_what_a_person_should_look_at", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		svc.manual.Create("/master/notes", "")
		svc.manual.Create("/workers/me", "")
		svc.manual.Create("/tasks/t1", "banana")
		svc.manual.Create("/tasks/t 2", "done 1")
		svc.manual.Create("/tasks/t3", "failed so")
		out, _ := svc.says(0, "status")
		want := `leader    none
backups   none
workers   none
tasks     3: 0 pending, 0 running, 1 done and 1 failed, not collected, 1 malformed

warning   there is no leader: start a master
warning   there is no worker: start one
warning   /master/notes: no candidate: its name does not end in ten digits
warning   /workers/me: not ephemeral: it is no worker, and nothing is assigned to it
warning   /tasks/t1: malformed: its state is none of pending, done and failed, but banana: it is never assigned`
		if out != want {
			t.Errorf("got\n%s\nwant\n%s", out, want)
		}
		if s := svc.status(); len(s.Warnings) != 5 || s.Leader != nil || s.Tasks.Malformed != 1 || s.Warnings[4].Znode != "/tasks/t1" {
			t.Errorf("JSON %+v", s)
		}
	})
	t.Run("warns_of_a_protocol_that_it_does_not_speak", func(t *testing.T) {
		svc := start(t)
		svc.master()
		svc.manual.Set("/members", "protocol=2 version=2.0.1")
		out, _ := svc.says(0, "status")
		const want = "\nwarning   /members: all programs must speak protocol 2, as version 2.0.1 wrote; this client speaks protocol 1\n"
		if s := svc.status(); !strings.Contains(out, want) || s.Protocol == nil || *s.Protocol != 2 {
			t.Errorf("got\n%s\nJSON %+v", out, s)
		}
	})
	t.Run("fails_where_something_may_not_be_read", func(t *testing.T) {
		for dir, want := range map[string]string{"/tasks": "tasks     may not be read", "/workers": "workers   may not be read", "/master": "leader    may not be read"} {
			svc := start(t)
			svc.goodTask()
			svc.lock(dir)
			for _, args := range [][]string{{"status"}, {"status", "--json"}} {
				out, errs := svc.says(1, args...)
				if errs != "client: may not be read: "+dir {
					t.Errorf("%s: stderr %q", dir, errs)
				}
				if args[len(args)-1] == "--json" {
					s := svc.parse(out)
					if unknown := map[string]bool{"/tasks": s.Tasks == nil, "/workers": s.Workers == nil, "/master": s.Backups == nil}; !unknown[dir] {
						t.Errorf("%s: %s", dir, out)
					}
				} else if !slices.Contains(strings.Split(out, "\n"), want) || strings.Contains(out, "none\ntasks     none") {
					t.Errorf("%s:\n%s", dir, out)
				}
			}
			if dir != "/tasks" {
				if out, _ := svc.says(0, "explain", "good"); !strings.Contains(out, "waits      the reason is not known: "+dir+" may not be read: ") {
					t.Errorf("%s:\n%s", dir, out)
				}
			}
		}
	})
	t.Run("warns_of_servers_whose_clock_is_behind_a_client_s", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		ms := fmt.Sprintf("%012x", time.Now().Add(time.Hour).UnixMilli())
		id := ms[:8] + "-" + ms[8:] + task.NewID()[13:]
		svc.manual.Create("/data/"+id, "1")
		svc.manual.Create("/tasks/"+id, "pending")
		const want = "the clock of ZooKeeper's servers is behind that of a client by "
		for _, args := range [][]string{{"status"}, {"explain", id}} {
			if out, _ := svc.says(0, args...); !strings.Contains(out, "\nwarning") || !strings.Contains(out, want) {
				t.Errorf("%q:\n%s", args, out)
			}
		}
	})
	t.Run("with_watch_is_printed_again_until_Ctrl_C", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		c := svc.start("client", "status", "--watch", "--interval", "50ms")
		c.Line(c.Stdout, "tasks     none")
		svc.manual.Create("/tasks/t1", "pending")
		c.Line(c.Stdout, "tasks     1: 1 pending")
		c.Send(syscall.SIGINT)
		c.Exit(0)
		if out := c.Stdout.String(); strings.Contains(out, "\x1b") || !regexp.MustCompile(`^\d\d:\d\d:\d\d\nleader    none\n`).MatchString(out) {
			t.Errorf("stdout %q", out)
		}
		if got := c.Stderr.String(); got != "" {
			t.Errorf("stderr %q", got)
		}
	})
	t.Run("with_watch_and_json_is_one_object_a_line", func(t *testing.T) {
		svc := start(t)
		c := svc.start("client", "status", "--watch", "--json", "--interval", "50ms")
		zktest.Eventually(t, "three lines", func() (bool, string) { return len(c.Stdout.Lines()) >= 3, c.Stdout.String() })
		c.Send(syscall.SIGTERM)
		c.Exit(0)
		lines := c.Stdout.Lines()
		for i, line := range lines {
			if s := svc.parse(line); i > 0 && s.Time.Sub(svc.parse(lines[i-1]).Time) < 40*time.Millisecond {
				t.Errorf("two within the interval:\n%s\n%s", lines[i-1], line)
			}
		}
	})
	t.Run("with_watch_does_not_report_its_own_end_as_an_outage", func(t *testing.T) {
		svc := start(t)
		proxy, behind := svc.via()
		_, release := proxy.Hold(zktest.OpClose, 1) // the end takes a while
		defer release()
		behind.timeout = "20s"
		c := behind.start("client", "status", "--watch", "--json", "--interval", "50ms")
		c.Line(c.Stdout, `"leader":null`)
		c.Send(syscall.SIGTERM)
		c.Exit(0)
		if out := c.Stdout.String(); strings.Contains(out, "away_since") {
			t.Errorf("stdout %s", out)
		}
	})
	t.Run("with_watch_on_a_terminal_is_drawn_in_place", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		for i := range 15 { // more than the terminal has lines, and wider than it
			svc.manual.Create(fmt.Sprintf("/tasks/%02d%s", i, strings.Repeat("x", 200)), "banana")
			svc.manual.CreateEphemeral(fmt.Sprintf("/workers/w%02d", i), "busy")
		}
		side, shown := terminal(t)
		c := svc.command("status", "--watch", "--interval", "50ms")
		c.Env = append(c.Env, "TERM=xterm")
		c.Stdout, c.Stderr = side, side
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		see := func(text string) {
			t.Helper()
			zktest.Eventually(t, text, shown.shows(text))
		}
		see("\x1b[2J\x1b[H")
		see("leader    none\x1b[K\r\n")
		svc.manual.CreateEphemeral("/workers/me", "")
		see("workers   16: 15 busy, 1 free")
		if err := c.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("client: %v", err)
		}
		_, text := shown.shows("")()
		frames := strings.Split(text, "\x1b[H")
		for _, f := range frames[1:] {
			for _, line := range strings.Split(f, "\r\n") {
				if n := len([]rune(strings.TrimSuffix(line, "\x1b[K"))); n > 160 {
					t.Errorf("a line of %d: %q", n, line)
				}
			}
			if n := strings.Count(f, "\n"); n >= 25 {
				t.Errorf("%d lines:\n%s", n, f)
			}
		}
		if len(frames) < 3 || strings.Count(text, "\x1b[2J") != 1 {
			t.Errorf("%d frames in %q", len(frames)-1, text)
		}
	})
}

// These behaviours are the same in all commands that write nothing.
func TestReadOnlyCommands(t *testing.T) {
	t.Parallel()
	start := newService(t)
	verbs := map[string][]string{"status": {"status"}, "watch": {"status", "--watch"}, "explain": {"explain", "t1"}, "doctor": {"doctor"}}
	t.Run("leave_an_empty_tree_empty", func(t *testing.T) {
		svc := start(t)
		was := svc.manual.Children("/") // of a closed installation its permanent znodes
		for verb, status := range map[string]int{"status": 0, "explain": 3, "doctor": 0} {
			svc.says(status, verbs[verb]...)
			if got := svc.manual.Children("/"); !slices.Equal(got, was) {
				t.Errorf("%s left %q of %q", verb, got, was)
			}
		}
	})
	t.Run("do_not_create_a_missing_chroot", func(t *testing.T) {
		svc := start(t)
		was := svc.manual.Children("/")
		for verb, args := range verbs {
			c := harness.Run(t, harness.Command{Path: filepath.Join(svc.dir, "client"), Args: append(slices.Clone(args), "--zk", svc.root+"/lab")})
			c.Exit(1)
			want := "client: no znode " + svc.chroot() + "/lab at " + svc.addr() + ": nothing was ever submitted there (--zk)"
			if got := c.Stderr.String(); got != want || c.Stdout.String() != "" {
				t.Errorf("%s: stderr %q, want %q", verb, got, want)
			}
		}
		if got := svc.manual.Children("/"); !slices.Equal(got, was) {
			t.Errorf("left %q of %q", got, was)
		}
	})
	t.Run("say_in_their_help_that_they_write_nothing", func(t *testing.T) {
		svc := start(t)
		for _, verb := range []string{"status", "explain", "doctor"} {
			out, _ := svc.says(0, verb, "--help")
			if !strings.Contains(out, "\nExample:\n  client "+verb) || !strings.Contains(strings.Join(strings.Fields(out), " "), "writes nothing") {
				t.Errorf("got\n%s", out)
			}
		}
	})
	t.Run("refuse_wrong_use_with_a_reason", func(t *testing.T) {
		svc := start(t)
		for want, args := range map[string][]string{
			"client: --interval goes with --watch":             {"status", "--interval", "1s"},
			`client: --interval: must be a duration from 50ms`: {"status", "--watch", "--interval", "0"},
			`client: unexpected argument "x"`:                  {"status", "x"},
			`client: --host: "" is no name of a host`:          {"status", "--host", "a,"},
			`client: --queue: "a.b" is not a queue name: `:     {"status", "--queue", "a.b"},
			"client: unknown flag: --watch":                    {"doctor", "--watch"},
			`client: unexpected argument "/tasks"`:             {"doctor", "/tasks"},
			"client: ID is missing":                            {"explain"},
			`client: unexpected argument "t2"`:                 {"explain", "t1", "t2"},
			`client: ID: "a/b" is no name of a task`:           {"explain", "a/b"},
			`client: ID: "" is no name of a task`:              {"explain", ""},
			`client: ID: "a\nb" is no name of a task`:          {"explain", "a\nb"},
			`client: --wait: must be a duration from 1ms to `:  {"explain", "t1", "--wait", "soon"},
		} {
			_, errs := svc.says(2, args...)
			if !strings.HasPrefix(errs, want) || strings.Contains(errs, "\n") {
				t.Errorf("%q: stderr %q, want %q", args, errs, want)
			}
		}
	})
}
