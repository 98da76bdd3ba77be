package zktest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
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
)

// forTests are flags of the servers of tests. Java compiles quickly rather than well: most of
// these servers live for seconds, and then that saves a third of the processor's time. A server
// does not wait for its disk, which saves another tenth: what it wrote outlasts its SIGKILL, and
// no test cuts the power of the machine.
var forTests = []string{"-XX:TieredStopAtLevel=1", "-Dzookeeper.forceSync=no"}

// shared is what all tests of a package use: servers, and where they are Closed a CA. It is
// the only state here, because TestMain alone knows when the last test has ended.
var shared struct {
	// Fixed by Main.
	hasMain bool
	ca      *CA // of all servers; nil where the tests are not closed
	check   func(*Server) (text string, err error)

	sync.Mutex                    // guards the rest
	servers    map[string]*Server // by their options
	atEnd      []func() error
}

// Main runs a package's tests, stops the shared servers, and fails when a
// goroutine is left over:
//
//	func TestMain(m *testing.M) { zktest.Main(m) }
func Main(m *testing.M) { MainClosed(m, nil) }

// MainClosed is Main, where the tests may be Closed. Then check looks at the audit log of each
// server before the server is stopped. It returns a text for the log of the tests, or an error.
func MainClosed(m *testing.M, check func(*Server) (text string, err error)) {
	shared.hasMain, shared.check, shared.servers = true, check, make(map[string]*Server)
	var err error
	if Closed() {
		err = closeAll()
	}
	code := 1
	if err == nil {
		code = m.Run()
	}
	for _, end := range slices.Backward(shared.atEnd) {
		err = errors.Join(err, end())
	}
	if code == 0 {
		err = errors.Join(err, leaks(10*time.Second))
	}
	if err != nil {
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

// Receive returns the next value of a channel. If none comes, the test fails with "no <what>".
func Receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s within %s", what, patience)
		panic("unreachable")
	}
}

// AtEnd makes Main call a function when the last test has ended: for what several tests of a
// package use. The last function is called first.
func AtEnd(t testing.TB, end func()) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.hasMain {
		t.Fatal("the package's TestMain must call zktest.Main, which calls the function")
	}
	atEnd(func() error { end(); return nil })
}

// atEnd is AtEnd for Main, and for callers that have locked shared.
func atEnd(end func() error) { shared.atEnd = append(shared.atEnd, end) }

// Dir returns a new folder for what several tests of a package use. Main removes it.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "taskkeeper-tests-")
	if err != nil {
		t.Fatal(err)
	}
	AtEnd(t, func() { os.RemoveAll(dir) })
	return dir
}

// Shared returns the package's shared server, which the first call starts.
// Nobody may stop or pause it.
func Shared(t testing.TB) *Server {
	t.Helper()
	return SharedWith(t, Options{})
}

// SharedWith is Shared for all tests that ask for the same options. The server's log is shown
// if the test fails.
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
		s = startForTests(t, o)
		shared.servers[key] = s
		atEnd(func() error {
			defer s.Stop()
			return s.checkAudit(func(args ...any) { fmt.Println(args...) })
		})
	}
	t.Cleanup(func() { logOnFailure(t, s) })
	return s
}

// NewServer starts a server for one test alone, stopped when the test ends.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	s := startForTests(t, o)
	t.Cleanup(func() {
		if err := s.checkAudit(t.Log); err != nil {
			t.Error(err)
		}
		logOnFailure(t, s)
		s.Stop()
	})
	return s
}

func startForTests(t testing.TB, o Options) *Server {
	t.Helper()
	o.TLS = o.TLS || Closed()
	o.Flags = slices.Concat(forTests, o.Flags)
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkAudit is what MainClosed promises.
func (s *Server) checkAudit(log func(args ...any)) error {
	if !Closed() {
		return nil
	}
	text, err := shared.check(s)
	if text != "" {
		log(text)
	}
	return err
}

func logOnFailure(t testing.TB, s *Server) {
	if t.Failed() {
		t.Logf("ZooKeeper at %s said last:\n%s", s.Addr(), s.logTail(30))
	}
}

// Connect returns a connect string, host:port/chroot, for a new root on the shared server,
// which is empty, or closed: see Chroot.
func Connect(t testing.TB) string {
	t.Helper()
	return Chroot(t, Shared(t), fmt.Sprintf("/%s-%08x", special.ReplaceAllString(t.Name(), "_"), rand.Uint32()))
}

var special = regexp.MustCompile(`[^0-9A-Za-z_-]`)

// Serve starts a server for an executed Example, which has no testing.TB. It panics if the
// server does not start. The caller must call stop.
func Serve() (addr string, stop func()) {
	s, err := Start(Options{})
	if err != nil {
		panic(err)
	}
	return s.Addr(), s.Stop
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
func Expire(t testing.TB, connectString string, session int64) {
	t.Helper()
	if err := ExpireSession(connectString, session); err != nil {
		t.Fatal(err)
	}
}

// Log keeps what a test's sessions log. Its methods may be called from any goroutine.
type Log struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all of it so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
