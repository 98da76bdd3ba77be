package zktest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	// patience is how long tests wait for what must happen. Only a failure
	// takes so long.
	patience  = 20 * time.Second
	pollEvery = 5 * time.Millisecond

	// briefly has Java compile quickly rather than well: most servers of tests live for
	// seconds, and then that takes a third of a processor's time off.
	briefly = "-XX:TieredStopAtLevel=1"
)

// shared is what all tests of a package use: servers, and where they are Closed a CA. It is
// the only state here, because TestMain alone knows when the last test has ended.
var shared struct {
	// Fixed by Main.
	hasMain bool
	ca      *CA    // of all servers; nil where the tests are not closed
	dir     string // for what the tests have in common
	judge   Judge

	sync.Mutex                    // guards the rest
	servers    map[string]*Server // by their options
	atEnd      []func()
}

// Judge judges the audit log of a server that is about to be stopped. It returns what there
// is to say, or an error.
type Judge func(*Server) (text string, err error)

// Main runs a package's tests, stops the shared servers, and fails when a
// goroutine is left over:
//
//	func TestMain(m *testing.M) { zktest.Main(m) }
func Main(m *testing.M) { MainClosed(m, nil) }

// MainClosed is Main, where the tests are Closed as well. A judge looks at all that was written.
func MainClosed(m *testing.M, judge Judge) {
	shared.hasMain, shared.judge = true, judge
	var err error
	if shared.dir, err = os.MkdirTemp("", "taskkeeper-tests-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if judge != nil && os.Getenv(Switch) == "1" {
		if err := closeAll(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	for _, end := range shared.atEnd {
		end()
	}
	for _, s := range shared.servers {
		if err := s.judge(func(args ...any) { fmt.Println(args...) }); err != nil {
			fmt.Fprintf(os.Stderr, "after all tests: %v\n", err)
			code = 1
		}
		s.Stop()
	}
	os.RemoveAll(shared.dir)
	if err := leaks(10 * time.Second); code == 0 && err != nil {
		fmt.Fprintf(os.Stderr, "after all tests: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// leaks waits for the last goroutines: a closed zk.Conn whose server is gone
// needs a second or two to end.
func leaks(limit time.Duration) error {
	for end := time.Now().Add(limit); ; {
		if err := goleak.Find(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// AtEnd has Main call a function when the last test has ended: for what several tests of a
// package use.
func AtEnd(t testing.TB, end func()) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.hasMain {
		t.Fatal("the package's TestMain must call zktest.Main, which calls the function")
	}
	shared.atEnd = append(shared.atEnd, end)
}

// Dir returns a new folder for what several tests of a package use. Main removes it.
func Dir(t testing.TB) string {
	t.Helper()
	if !shared.hasMain {
		t.Fatal("the package's TestMain must call zktest.Main, which removes the folder")
	}
	dir, err := os.MkdirTemp(shared.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Shared returns the package's shared server, which the first call starts.
// Nobody may stop or pause it.
func Shared(t testing.TB) *Server {
	t.Helper()
	return SharedWith(t, Options{})
}

// SharedWith is Shared for those who ask for the same options. The server's log is shown if
// the test fails.
func SharedWith(t testing.TB, o Options) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.hasMain {
		t.Fatal("the package's TestMain must call zktest.Main, which stops the shared servers")
	}
	key := fmt.Sprintf("%+v", o)
	s, ok := shared.servers[key]
	if !ok {
		var err error
		if s, err = Start(o.inTests()); err != nil {
			t.Fatal(err)
		}
		if shared.servers == nil {
			shared.servers = make(map[string]*Server)
		}
		shared.servers[key] = s
	}
	t.Cleanup(func() { logOnFailure(t, s) })
	return s
}

// inTests is what a server of tests has beside the options.
func (o Options) inTests() Options {
	o.TLS = o.TLS || Closed()
	o.Flags = append([]string{briefly}, o.Flags...)
	return o
}

// Connect returns a connect string, host:port/chroot, for a new root on the shared server,
// which is empty, or closed: see Chroot.
func Connect(t testing.TB) string {
	t.Helper()
	return Chroot(t, Shared(t), fmt.Sprintf("/%s-%08x", strings.Map(plain, t.Name()), rand.Uint32()))
}

func plain(r rune) rune {
	switch {
	case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '_', r == '-':
		return r
	}
	return '_'
}

// NewServer starts a server for one test alone, stopped when the test ends.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o.inTests())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.judge(t.Log); err != nil {
			t.Error(err)
		}
		logOnFailure(t, s)
		s.Stop()
	})
	return s
}

func logOnFailure(t testing.TB, s *Server) {
	if t.Failed() {
		t.Logf("ZooKeeper at %s said last:\n%s", s.Addr(), s.LogTail(30))
	}
}

// Eventually calls cond until it is true, and fails the test with what cond saw
// last when that does not come about in 20 s.
func Eventually(t testing.TB, what string, cond func() (ok bool, seen string)) {
	t.Helper()
	if err := eventually(patience, cond); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func eventually(limit time.Duration, cond func() (ok bool, seen string)) error {
	for end := time.Now().Add(limit); ; time.Sleep(pollEvery) {
		ok, seen := cond()
		if ok {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("not within " + limit.String() + "; last seen: " + seen)
		}
	}
}

// Expire is ExpireSession for tests.
func Expire(t testing.TB, addr string, session int64) {
	t.Helper()
	if err := ExpireSession(addr, session); err != nil {
		t.Fatal(err)
	}
}
