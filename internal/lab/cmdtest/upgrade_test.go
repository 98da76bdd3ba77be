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
	server := zktest.NewServer(t, zktest.Options{})
	old := newServiceOn(t, server, "/upgrade") // its programs have no version
	old.timeout = "20s"
	next := *old
	next.dir = harness.Build(t, "-ldflags=-X taskkeeper/internal/cli.version=1.5.0", "taskkeeper/cmd/master", "taskkeeper/cmd/worker", "taskkeeper/cmd/client")
	dir := t.TempDir()
	master := func(svc *service) *harness.Child { return svc.master() }
	worker := func(svc *service) *harness.Child {
		return svc.worker("--slots", "2", "--drain", "30s", "--shell", "--exec", `read n; echo $n >>`+dir+`/executed; echo $n`)
	}
	// A client gets numbers until the file over is there.
	client := func(svc *service, name string) *harness.Child {
		script := fmt.Sprintf(`i=0; while ! [ -e %[1]s/over ]; do i=$((i+1)); echo %[2]s$i; sleep 0.01; done | %[3]s/client run --window 20 --zk %[4]s --session-timeout 20s`,
			dir, name, svc.dir, svc.root)
		return harness.Run(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", script}})
	}
	running := []struct {
		begin func(svc *service) *harness.Child
		*harness.Child
	}{{begin: master}, {begin: worker}, {begin: master}, {begin: worker}, {begin: worker}}
	for i := range running {
		running[i].Child = running[i].begin(old)
	}
	clients := map[string]*harness.Child{"a": client(old, "a"), "b": client(&next, "b")}
	for _, c := range clients {
		c.Line(c.Stdout, "1")
	}
	for i := range running {
		p := &running[i]
		p.Send(syscall.SIGTERM)
		p.Exit(0)
		p.Child = p.begin(&next)
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
	svc := newService(t)(t)
	svc.manual.Put("/members", "protocol=2 version=2.0.1")
	was := svc.manual.Children("/")
	for _, args := range []string{"master", "worker", "client run 0", "client submit 0", "client", "client drain node", "client retry x", "client wait x"} {
		f := strings.Fields(args)
		p := svc.start(f[0], f[1:]...)
		p.Exit(1)
		last := p.Stderr.Lines()[len(p.Stderr.Lines())-1]
		want := f[0] + ": another protocol: this is version devel, which speaks protocol 1; /members says protocol 2, written by version 2.0.1: use a version that speaks it"
		if last != want {
			t.Errorf("%s: %q, want %q", args, last, want)
		}
	}
	if got := svc.manual.Children("/"); !slices.Equal(got, was) {
		t.Errorf("they left %q of %q", got, was)
	}
}

// The protocol is raised while programs that do not speak it are at work.
func TestRaisedProtocolEndsProgramsThatDoNotSpeakIt(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	m, w := svc.master(), svc.worker()
	_, name, _ := strings.Cut(w.Line(w.Stderr, "registered"), "worker=")
	run := svc.start("client", "run", "3600")
	w.Line(w.Stderr, "task started")
	drain := svc.start("client", "drain", strings.TrimSpace(name), "--wait")
	wait := svc.start("client", "run", "--wait-for-workers", "9", "0")
	wait.Line(wait.Stderr, "waiting for")
	zktest.Eventually(t, "it is draining", func() (bool, string) {
		drains := svc.manual.Children("/drain")
		return len(drains) == 1, strings.Join(drains, " ")
	})
	svc.manual.Set("/members", "protocol=2 version=2.0.1")
	for _, p := range []*harness.Child{m, w, run, drain, wait} {
		p.Exit(1)
		p.Line(p.Stderr, "another protocol: this is version devel, which speaks protocol 1; /members says protocol 2, written by version 2.0.1")
	}
	if left := append(svc.manual.Children("/tasks"), svc.manual.Children("/workers")...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
