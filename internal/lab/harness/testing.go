package harness

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// patience is how long tests wait. Only a failure takes so long.
const patience = 30 * time.Second

var (
	building sync.Mutex                // guards built
	built    = make(map[string]string) // folders of programs, by the arguments of go build
)

// Build builds programs, with the race detector if the test has it, and returns the folder
// that they are in. It is the same one for all tests of a package that ask for the same:
// nobody may change it. The arguments are flags of go build and packages; without any, all
// programs are built.
func Build(t testing.TB, args ...string) string {
	t.Helper()
	if len(args) == 0 {
		args = []string{"taskkeeper/cmd/..."}
	}
	building.Lock()
	defer building.Unlock()
	key := strings.Join(args, " ")
	if dir, ok := built[key]; ok {
		return dir
	}
	dir := zktest.Dir(t)
	// Whether a version stands in the programs must not depend on git.
	args = append([]string{"build", "-buildvcs=false", "-race=" + strconv.FormatBool(race()), "-o", dir + "/"}, args...)
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	built[key] = dir
	return dir
}

// race reports whether this very program has the race detector.
func race() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Child is a Process of a test. Its methods fail the test, so they are for the
// test's own goroutine.
type Child struct {
	*Process
	t testing.TB
}

// Run starts a program, and kills it when the test ends. If the test has failed, the program's
// output is logged then. The program ignores no signal, though the test may, as under nohup:
// a signal that is caught here has its default there.
func Run(t testing.TB, c Command) *Child {
	t.Helper()
	if c.Identity == nil {
		c.Identity = zktest.Identity
	}
	// The race detector makes each program that ends well sleep for a second.
	c.Env = append([]string{"GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=10"}, c.Env...)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT) // Go itself catches the others
	p, err := Start(c)
	signal.Stop(caught)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if strings.Contains(p.Stderr.String(), "WARNING: DATA RACE") {
			t.Errorf("%s: data race", p)
		}
		if t.Failed() {
			t.Logf("%s, process %d\nstdout:\n%s\nstderr:\n%s", p, p.Pid(), p.Stdout, p.Stderr)
		}
	})
	return &Child{p, t}
}

// Line waits for a line that contains text, on one of the process's outputs.
func (c *Child) Line(o *Output, text string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for line := range o.lines.follow(ctx) {
		if strings.Contains(line, text) {
			return line
		}
	}
	c.t.Fatalf("%s: no line with %q within %v, or before its end", c, text, patience)
	return ""
}

// Send sends a signal.
func (c *Child) Send(sig syscall.Signal) {
	c.t.Helper()
	if err := c.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

// Exit waits for the end, and fails the test if the status is another one.
func (c *Child) Exit(want int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	got, err := c.Wait(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if got != want {
		c.t.Fatalf("%s: exit status %d, want %d", c, got, want)
	}
}

// calm is a session timeout that no test waits for, and that no session exceeds because the
// machine is busy.
const calm = 20 * time.Second

// SessionConfig is for a test's sessions at host:port[,host:port…][/chroot]. What they log is
// shown if the test fails.
func SessionConfig(t testing.TB, connect string) session.Config {
	t.Helper()
	address, err := session.ParseAddress(connect)
	if err != nil {
		t.Fatal(err)
	}
	return session.Config{Address: address, Timeout: calm, Logger: Logger(t)}
}

// Open opens a session that is closed when the test ends.
func Open(t testing.TB, connect string, change ...func(*session.Config)) *session.Session {
	t.Helper()
	cfg := SessionConfig(t, connect)
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := session.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Timeout changes how long a session lives without its server.
func Timeout(d time.Duration) func(*session.Config) {
	return func(c *session.Config) { c.Timeout = d }
}

// Logger writes to the test's log.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
