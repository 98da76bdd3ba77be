//go:build !race

package cmdtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// wire passes bytes on to a server, and cuts connections. It cannot read what is encrypted.
type wire struct {
	listener net.Listener
	to       string
	all      sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns []net.Conn
}

// newWire returns the wire, and the connect string that leads through it.
func newWire(t *testing.T, connectString string) (*wire, string) {
	t.Helper()
	server, chroot, _ := strings.Cut(connectString, "/")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: server}
	w.all.Go(w.accept)
	t.Cleanup(func() {
		l.Close()
		w.cut()
		w.all.Wait()
	})
	return w, l.Addr().String() + "/" + chroot
}

func (w *wire) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil {
			in.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, in, out)
		w.mu.Unlock()
		pass := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			to.Close()
			from.Close()
		}
		w.all.Go(func() { pass(out, in) })
		w.all.Go(func() { pass(in, out) })
	}
}

// cut closes all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// newEnsembleSite is a site on three servers.
func newEnsembleSite(t *testing.T) (*site, *zktest.Ensemble) {
	t.Helper()
	dir := harness.Build(t)
	e, err := zktest.StartEnsemble(3, zktest.Options{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	zktest.Conn(t, e.Connect()).Create("/app", "")
	root := e.Connect() + "/app"
	return &site{t, dir, e.Servers[0], root, zktest.Conn(t, root), "4s"}, e
}

// work is a master, a worker that writes down what it executes, and a client with tasks that last
// until it is told to end.
type work struct {
	st                     *site
	master, worker, client *harness.Child
	done, end              string // files
	tasks                  int
}

// begin starts work under the policy.
func (st *site) begin() *work {
	st.t.Helper()
	st.close()
	dir := st.t.TempDir()
	w := &work{st: st, done: filepath.Join(dir, "done"), end: filepath.Join(dir, "end"), tasks: 500}
	w.master = st.as("master", "master")
	w.master.Line(w.master.Stderr, " leader ")
	w.worker = st.as("worker", "worker", "--slots", "4", "--shell", "--exec",
		fmt.Sprintf("test -e %s || sleep 0.5; echo $1 >>%s; echo $1", w.end, w.done))
	w.worker.Line(w.worker.Stderr, "registered")
	var in strings.Builder
	for n := range w.tasks {
		fmt.Fprintln(&in, n)
	}
	w.client = st.with(st.server.Identity("client"), in.String(), "client", "run")
	w.client.Line(w.client.Stdout, "0")
	return w
}

func (w *work) all() []*harness.Child { return []*harness.Child{w.master, w.worker, w.client} }

// reconnected waits until each program has connected again n times.
func (w *work) reconnected(n int) {
	w.st.t.Helper()
	for _, p := range w.all() {
		zktest.Eventually(w.st.t, fmt.Sprintf("%s connects again, %d times in all", p, n), func() (bool, string) {
			return logged(p, "connected again") >= n, p.Stderr.String()
		})
	}
}

// judge ends the work. It wants each task to be executed once and its result to be printed, and
// each program to have had one session.
func (w *work) judge() {
	t := w.st.t
	t.Helper()
	if err := os.WriteFile(w.end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := len(w.client.Stdout.Lines()); n == w.tasks {
		t.Error("the work was over before its end: that was no load")
	}
	endsWell(t, w.client)
	var want []string
	for n := range w.tasks {
		want = append(want, fmt.Sprint(n))
	}
	if got := w.client.Stdout.Lines(); !slices.Equal(got, want) {
		t.Errorf("%d results of %d tasks", len(got), w.tasks)
	}
	text, err := os.ReadFile(w.done)
	if err != nil {
		t.Fatal(err)
	}
	done := strings.Fields(string(text))
	slices.Sort(done)
	if once := slices.Compact(slices.Clone(done)); len(done) != w.tasks || len(once) != w.tasks {
		t.Errorf("%d executions of %d tasks, %d were to be", len(done), len(once), w.tasks)
	}
	for _, p := range w.all() {
		var sessions []string
		for _, m := range regexp.MustCompile(`connected.* session=(0x\S+)`).FindAllStringSubmatch(p.Stderr.String(), -1) {
			sessions = append(sessions, m[1])
		}
		if n := len(slices.Compact(sessions)); n != 1 {
			t.Errorf("%s had %d sessions:\n%s", p, n, p.Stderr)
		}
	}
}

// certified issues certificates for the three programs, in the files that they have. They are old
// enough to be renewed an hour before their end.
func (st *site) certified(end time.Time) {
	st.t.Helper()
	for _, role := range []string{"master", "worker", "client"} {
		if _, err := st.server.CA().Issue(zktest.Request{CN: "tk-" + role, NotBefore: time.Now().Add(-3 * time.Hour), NotAfter: end}); err != nil {
			st.t.Fatal(err)
		}
	}
}

func TestReconnectWithRenewedCertificatesUnderLoad(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	st := newSite(t)
	var wire *wire
	wire, st.root = newWire(t, st.root)
	w := st.begin()

	end := time.Now().Add(10 * time.Second)
	st.certified(end)
	wire.cut()
	w.reconnected(1) // by certificates that expire soon
	st.certified(time.Now().Add(24 * time.Hour))
	if time.Now().After(end) {
		t.Fatal("the old certificates expired before they were renewed: this machine is too slow")
	}
	zktest.Eventually(t, "the old certificates expire", func() (bool, string) { return time.Now().After(end), end.String() })
	wire.cut()
	w.reconnected(2)
	w.judge()
	for _, p := range w.all() {
		if out := p.Stderr.String(); strings.Contains(out, "ERR") {
			t.Errorf("%s: an error is logged:\n%s", p, out)
		}
	}
}

func TestReconnectWhileServersGetANewCertificateOneAfterTheOther(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	st, e := newEnsembleSite(t)
	w := st.begin()
	serial := func(s *zktest.Server) (number string, err error) {
		conn, err := zktest.Dial(s.Addr(), s.Identity("viewer"), 5*time.Second)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
	}
	if _, err := st.server.CA().Issue(zktest.Request{CN: "tk-server", Hosts: []string{"localhost", "127.0.0.1", "renewed.test"}}); err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Servers {
		old, err := serial(s)
		if err != nil {
			t.Fatal(err)
		}
		s.Terminate()
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		zktest.Eventually(t, "the server is one of three again", func() (bool, string) {
			mode, err := s.Mode()
			return mode == "leader" || mode == "follower", fmt.Sprint(mode, err)
		})
		if now, err := serial(s); err != nil || now == old {
			t.Errorf("%s shows certificate %s, before %s: %v", s.Addr(), now, old, err)
		}
	}
	w.reconnected(1)
	w.judge()
}

// Each program warns an hour ahead; when its certificate has expired it says so, and once more when
// it would need it. With a renewed one it goes on by itself.
func TestReconnectAfterACertificateThatExpiredWasRenewed(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	st := newSite(t)
	var wire *wire
	wire, st.root = newWire(t, st.root)
	addr, _, _ := strings.Cut(st.root, "/")
	end := time.Now().Add(30 * time.Second).Truncate(time.Second)
	st.certified(end)
	w := st.begin()
	expires := "expires=" + end.UTC().Format(time.RFC3339)
	for _, p := range w.all() {
		p.Line(p.Stderr, "the certificate expires soon: renew its file, no restart is needed")
		p.Line(p.Stderr, "the certificate has expired: ZooKeeper takes no new connection until it is renewed")
	}
	wire.cut()
	for _, p := range w.all() {
		p.Line(p.Stderr, "no connection to ZooKeeper")
	}
	st.certified(time.Now().Add(24 * time.Hour))
	w.reconnected(1)
	for i, p := range w.all() {
		files := st.server.Identity([]string{"master", "worker", "client"}[i])
		for _, line := range []string{
			"WRN the certificate expires soon: renew its file, no restart is needed file=" + files.Cert,
			"ERR the certificate has expired: ZooKeeper takes no new connection until it is renewed file=" + files.Cert,
			`ERR no connection to ZooKeeper err="` + addr + ": it refused the certificate in $ZK_TLS_CERT " + files.Cert + ", which expired at " + end.UTC().Format(time.RFC3339) + ": renew it",
		} {
			if n := logged(p, line); n != 1 {
				t.Errorf("%s says %q %d times", p, line, n)
			}
		}
		if logged(p, expires) == 0 {
			t.Errorf("%s does not say when: %s", p, expires)
		}
	}
	if err := os.WriteFile(w.end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	endsWell(t, w.client)
	if n := len(w.client.Stdout.Lines()); n != w.tasks {
		t.Errorf("%d results of %d tasks", n, w.tasks)
	}
}

// One server is frozen, and another address takes connections and never speaks TLS.
func TestReconnectPastAFrozenServerAndOneThatNeverSpeaksTLS(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	st, e := newEnsembleSite(t)
	servers, chroot, _ := strings.Cut(st.root, "/")
	st.root = silent(t) + "," + servers + "/" + chroot
	st.timeout = "10s" // two thirds of it pass before the frozen server is given up: the rest has to do on a busy machine
	w := st.begin()
	for _, s := range e.Servers {
		s.Pause()
		for _, p := range w.all() {
			on := func() (string, bool) {
				now := ""
				for _, m := range regexp.MustCompile(`connected.* server=(\S+)`).FindAllStringSubmatch(p.Stderr.String(), -1) {
					now = m[1]
				}
				return now, now == s.Addr()
			}
			zktest.Eventually(t, p.String()+" is connected to a server that is not frozen", func() (bool, string) {
				server, frozen := on()
				return !frozen, server
			})
		}
		s.Resume()
		zktest.Eventually(t, "the server is one of three again", func() (bool, string) {
			mode, err := s.Mode()
			return mode == "leader" || mode == "follower", fmt.Sprint(mode, err)
		})
	}
	w.judge()
}

// endsWell waits for a process that has much to do.
func endsWell(t *testing.T, p *harness.Child) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != 0 {
		t.Fatalf("%s: exit status %d, %v", p, status, err)
	}
}
