//go:build !race

package cmdtest

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// newInstallationOnThreeServers makes an installation on three servers.
func newInstallationOnThreeServers(t *testing.T) (*installation, *zktest.Ensemble) {
	t.Helper()
	// Servers that live for seconds compile quickly.
	e, err := zktest.StartEnsemble(3, zktest.Options{TLS: true, Flags: []string{"-XX:TieredStopAtLevel=1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	inst := newInstallationOn(t, e.Servers[0])
	inst.root = e.Connect() + inst.chroot
	return inst, e
}

// work is a master, a worker that records what it executes, and a client whose tasks last long until
// the file end is there.
type work struct {
	inst                   *installation
	master, worker, client *harness.Child
	done, end              string // files
	tasks                  int
}

// begin starts work under the policy.
func (inst *installation) begin() *work {
	inst.t.Helper()
	inst.close()
	dir := inst.t.TempDir()
	w := &work{inst: inst, done: filepath.Join(dir, "done"), end: filepath.Join(dir, "end"), tasks: 300}
	w.master = inst.as("master", "master")
	w.master.Line(w.master.Stderr, " leader ")
	w.worker = inst.as("worker", "worker", "--slots", "4", "--shell", "--exec",
		fmt.Sprintf("test -e %s || sleep 1; echo $1 >>%s; echo $1", w.end, w.done))
	w.worker.Line(w.worker.Stderr, "registered")
	var in strings.Builder
	for n := range w.tasks {
		fmt.Fprintln(&in, n)
	}
	w.client = inst.with(inst.server.Identity("client"), in.String(), "client", "run")
	w.client.Line(w.client.Stdout, "0")
	return w
}

func (w *work) all() []*harness.Child { return []*harness.Child{w.master, w.worker, w.client} }

// reconnected waits until each program has connected again n times.
func (w *work) reconnected(n int) {
	w.inst.t.Helper()
	for _, p := range w.all() {
		zktest.Eventually(w.inst.t, fmt.Sprintf("%s connects again, %d times in all", p, n), func() (bool, string) {
			return logged(p, "connected again") >= n, p.Stderr.String()
		})
	}
}

// check ends the work. It fails unless each task was executed once, all results are printed, and
// each program had one session.
func (w *work) check() {
	t := w.inst.t
	t.Helper()
	writeFile(t, w.end, "")
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
	text := readFile(t, w.done)
	done := strings.Fields(text)
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
func (inst *installation) certified(end time.Time) {
	inst.t.Helper()
	for _, role := range []string{"master", "worker", "client"} {
		if _, err := inst.server.CA().Issue(zktest.Request{CN: "tk-" + role, NotBefore: time.Now().Add(-3 * time.Hour), NotAfter: end}); err != nil {
			inst.t.Fatal(err)
		}
	}
}

func TestReconnectWithRenewedCertificatesUnderLoad(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	inst := newInstallationOn(t, zktest.NewServer(t, zktest.Options{TLS: true}))
	relay, root := newRelay(t, "127.0.0.1", inst.root)
	inst.root = root
	w := inst.begin()

	end := time.Now().Add(10 * time.Second)
	inst.certified(end)
	relay.cut()
	w.reconnected(1) // by certificates that expire soon
	inst.certified(time.Now().Add(24 * time.Hour))
	if time.Now().After(end) {
		t.Fatal("the old certificates expired before they were renewed: this machine is too slow")
	}
	zktest.Eventually(t, "the old certificates expire", func() (bool, string) { return time.Now().After(end), end.String() })
	relay.cut()
	w.reconnected(2)
	w.check()
	for _, p := range w.all() {
		if out := p.Stderr.String(); strings.Contains(out, "ERR") {
			t.Errorf("%s: an error is logged:\n%s", p, out)
		}
	}
}

func TestReconnectWhileServersGetANewCertificateOneAfterTheOther(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	inst, e := newInstallationOnThreeServers(t)
	w := inst.begin()
	serial := func(s *zktest.Server) (number string, err error) {
		conn, err := zktest.Dial(s.Addr(), s.Identity("viewer"), 5*time.Second)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
	}
	if _, err := inst.server.CA().Issue(zktest.Request{CN: "tk-server", Hosts: []string{"localhost", "127.0.0.1", "renewed.test"}}); err != nil {
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
	w.check()
}

// Each program warns an hour before its certificate expires, reports that it has expired, and reports a
// connection that fails for that. With a renewed certificate it goes on by itself.
func TestReconnectAfterACertificateThatExpiredWasRenewed(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	inst := newInstallationOn(t, zktest.NewServer(t, zktest.Options{TLS: true}))
	relay, root := newRelay(t, "127.0.0.1", inst.root)
	inst.root = root
	addr, _, _ := strings.Cut(inst.root, "/")
	end := time.Now().Add(30 * time.Second).Truncate(time.Second)
	inst.certified(end)
	w := inst.begin()
	expires := "expires=" + end.UTC().Format(time.RFC3339)
	for _, p := range w.all() {
		p.Line(p.Stderr, "the certificate expires soon: renew its file, no restart is needed")
		p.Line(p.Stderr, "the certificate has expired: ZooKeeper takes no new connection until it is renewed")
	}
	relay.cut()
	for _, p := range w.all() {
		p.Line(p.Stderr, "no connection to ZooKeeper")
	}
	inst.certified(time.Now().Add(24 * time.Hour))
	w.reconnected(1)
	for i, p := range w.all() {
		files := inst.server.Identity([]string{"master", "worker", "client"}[i])
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
	writeFile(t, w.end, "")
	endsWell(t, w.client)
	if n := len(w.client.Stdout.Lines()); n != w.tasks {
		t.Errorf("%d results of %d tasks", n, w.tasks)
	}
}

// One server is frozen, and another address takes connections and never speaks TLS.
func TestReconnectPastAFrozenServerAndOneThatNeverSpeaksTLS(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	inst, e := newInstallationOnThreeServers(t)
	servers, chroot, _ := strings.Cut(inst.root, "/")
	inst.root = silent(t) + "," + servers + "/" + chroot
	inst.timeout = "10s" // two thirds of it pass before the frozen server is given up: the rest has to do on a busy machine
	w := inst.begin()
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
	w.check()
}
