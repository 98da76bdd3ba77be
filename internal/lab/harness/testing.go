package harness

import (
	"context"
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
)

// patience is how long tests wait. Only a failure takes so long.
const patience = 30 * time.Second

// builds are the folders of programs that tests of this package have built, by what go build
// was asked for.
var builds struct {
	sync.Mutex
	dirs map[string]string
}

// Build builds programs, with the race detector if the test has it, and returns the folder
// that they are in. It is the same one for all tests of a package that ask for the same:
// nobody may change it. The arguments are flags of go build and packages; without any, all
// programs are built.
func Build(t testing.TB, args ...string) string {
	t.Helper()
	if len(args) == 0 {
		args = []string{"taskkeeper/cmd/..."}
	}
	builds.Lock()
	defer builds.Unlock()
	key := strings.Join(args, " ")
	if dir, ok := builds.dirs[key]; ok {
		return dir
	}
	dir := zktest.Dir(t)
	// Whether a version stands in the programs must not depend on git.
	args = append([]string{"build", "-buildvcs=false", "-race=" + strconv.FormatBool(race()), "-o", dir + "/"}, args...)
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if builds.dirs == nil {
		builds.dirs = make(map[string]string)
	}
	builds.dirs[key] = dir
	return dir
}

// race tells whether this very program has the race detector.
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

// Run starts a program, which ignores no signal though the test may (nohup): what is
// caught here has its default there. It is killed when the test ends; if the test
// failed, its output is logged then.
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
	line, err := o.Await(ctx, func(line string) bool { return strings.Contains(line, text) })
	if err != nil {
		c.t.Fatalf("%s, for %q: %v", c, text, err)
	}
	return line
}

// Send sends a signal.
func (c *Child) Send(sig syscall.Signal) {
	c.t.Helper()
	if err := c.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

// Exit waits for the end and fails the test unless the status is the wanted.
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
