package cmdtest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
)

// All programs are replaced by those of another version, one after the other, while clients of both
// versions work. Each input is executed once, and its result printed once.
func TestRollingUpgradeExecutesEachInputOnce(t *testing.T) {
	t.Parallel()
	old := harness.Build(t) // without a version
	next := harness.Build(t, "-ldflags=-X taskkeeper/internal/cli.version=1.5.0", "taskkeeper/cmd/master", "taskkeeper/cmd/worker", "taskkeeper/cmd/client")
	server := zktest.NewServer(t, zktest.Options{})
	root := zktest.Chroot(t, server, "/upgrade")
	dir := t.TempDir()
	start := func(bin, program string, args ...string) *harness.Child {
		return harness.Run(t, harness.Command{Path: filepath.Join(bin, program), Args: append(args, "--zk", root, "--session-timeout", "20s")})
	}
	master := func(bin string) *harness.Child {
		p := start(bin, "master")
		p.Line(p.Stderr, "candidate=")
		return p
	}
	worker := func(bin string) *harness.Child {
		p := start(bin, "worker", "--slots", "2", "--drain", "30s", "--shell", "--exec", `read n; echo $n >>`+dir+`/executed; echo $n`)
		p.Line(p.Stderr, "registered")
		return p
	}
	// A client gets numbers until the file "over" is there, and then the file "last" holds
	// how many they were.
	client := func(bin, name string) *harness.Child {
		script := fmt.Sprintf(`i=0; while ! [ -e %[1]s/over ]; do i=$((i+1)); echo %[2]s$i; sleep 0.01; done | %[3]s/client run --window 20 --zk %[4]s --session-timeout 20s`,
			dir, name, bin, root)
		return harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", script}})
	}
	running := []struct {
		begin func(bin string) *harness.Child
		*harness.Child
	}{{begin: master}, {begin: worker}, {begin: master}, {begin: worker}, {begin: worker}}
	for i := range running {
		running[i].Child = running[i].begin(old)
	}
	clients := map[string]*harness.Child{"a": client(old, "a"), "b": client(next, "b")}
	for _, c := range clients {
		c.Line(c.Stdout, "1")
	}
	for i := range running {
		p := &running[i]
		p.Send(syscall.SIGTERM)
		p.Exit(0)
		p.Child = p.begin(next)
	}
	for _, c := range clients { // all that do the work now are new
		n := len(c.Stdout.Lines())
		zktest.Eventually(t, "it gets results", func() (bool, string) { return len(c.Stdout.Lines()) > n, "" })
	}
	writeFile(t, filepath.Join(dir, "over"), "")
	total := 0
	for name, c := range clients {
		c.Exit(0)
		for i, line := range c.Stdout.Lines() {
			if want := name + strconv.Itoa(i+1); line != want {
				t.Fatalf("result %d is %q, want %q", i, line, want)
			}
			total++
		}
	}
	executed := readFile(t, filepath.Join(dir, "executed"))
	times := make(map[string]int)
	for line := range strings.Lines(executed) {
		if times[line]++; times[line] > 1 {
			t.Errorf("%q was executed again", line)
		}
	}
	if len(times) != total || total == 0 {
		t.Errorf("%d were executed, %d have results", len(times), total)
	}
	for _, p := range running {
		p.Send(syscall.SIGTERM)
		p.Exit(0)
	}
	txns, err := history.Read(server.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	report := history.Check(history.Under(txns, "/upgrade"), history.Options{Finished: true})
	if err := report.Err(); err != nil || report.Done != total {
		t.Errorf("%d results, and ZooKeeper's log has %d: %v", total, report.Done, err)
	}
	t.Logf("%+v", report)
}

func TestAnotherProtocolIsRefused(t *testing.T) {
	t.Parallel()
	bin := harness.Build(t)
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	h.Put("/members", "protocol=2 version=2.0.1")
	was := h.Children("/")
	for _, args := range []string{"master", "worker", "client run 0", "client submit 0", "client", "client drain node", "client retry x", "client wait x"} {
		f := strings.Fields(args)
		p := harness.Run(t, harness.Command{Path: filepath.Join(bin, f[0]), Args: append(f[1:], "--zk", root)})
		p.Exit(1)
		last := p.Stderr.Lines()[len(p.Stderr.Lines())-1]
		want := f[0] + ": another protocol: this is version devel, which speaks protocol 1; /members says protocol 2, written by version 2.0.1: use a version that speaks it"
		if last != want {
			t.Errorf("%s: %q, want %q", args, last, want)
		}
	}
	if got := h.Children("/"); !slices.Equal(got, was) {
		t.Errorf("they left %q of %q", got, was)
	}
}

// The protocol is raised while programs that do not speak it are at work.
func TestRaisedProtocolEndsProgramsThatDoNotSpeakIt(t *testing.T) {
	t.Parallel()
	bin := harness.Build(t)
	root := zktest.Connect(t)
	h := zktest.Conn(t, root)
	start := func(args ...string) *harness.Child {
		return harness.Run(t, harness.Command{Path: filepath.Join(bin, args[0]), Args: append(args[1:], "--zk", root, "--log-level", "info")})
	}
	m, w := start("master"), start("worker")
	_, name, _ := strings.Cut(w.Line(w.Stderr, "registered"), "worker=")
	run := start("client", "run", "3600")
	w.Line(w.Stderr, "task started")
	drain := start("client", "drain", strings.TrimSpace(name), "--wait")
	wait := start("client", "run", "--wait-for-workers", "9", "0")
	wait.Line(wait.Stderr, "waiting for")
	zktest.Eventually(t, "it is draining", func() (bool, string) {
		drains := h.Children("/drain")
		return len(drains) == 1, strings.Join(drains, " ")
	})
	h.Set("/members", "protocol=2 version=2.0.1")
	for _, p := range []*harness.Child{m, w, run, drain, wait} {
		p.Exit(1)
		p.Line(p.Stderr, "another protocol: this is version devel, which speaks protocol 1; /members says protocol 2, written by version 2.0.1")
	}
	if left := append(h.Children("/tasks"), h.Children("/workers")...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
