package cmdtest

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
)

// manager is the socket of a service manager, such as systemd, to which a program reports its state.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// newManager listens on a socket of this name.
func newManager(t *testing.T, name string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn}
}

// env returns the variables that such a manager gives a program.
func (m *manager) env() []string {
	return []string{"NOTIFY_SOCKET=" + m.conn.LocalAddr().String(), "WATCHDOG_USEC=30000000", "WATCHDOG_PID=1"}
}

// receives waits for the next message.
func (m *manager) receives(want string) {
	m.t.Helper()
	buf := make([]byte, 4096)
	_ = m.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := m.conn.Read(buf)
	if got := string(buf[:n]); err != nil || got != want {
		m.t.Fatalf("the service manager received %q, %v; want %q", got, err, want)
	}
}

// receivesNoMore fails if there is another message.
func (m *manager) receivesNoMore() {
	m.t.Helper()
	_ = m.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	buf := make([]byte, 4096)
	if n, err := m.conn.Read(buf); err == nil {
		m.t.Errorf("the service manager also received %q", buf[:n])
	}
}

func TestServiceManager(t *testing.T) {
	t.Parallel()
	start := newService(t)
	under := func(svc *service, env []string, program string, args ...string) *harness.Child {
		return harness.Run(svc.t, harness.Command{Path: filepath.Join(svc.dir, program), Args: svc.with(args), Env: env})
	}
	t.Run("receives_when_a_master_is_a_candidate_and_when_it_ends", func(t *testing.T) {
		svc := start(t)
		for number := range 2 { // the leader, and a backup
			m := newManager(t, filepath.Join(t.TempDir(), "notify"))
			c := under(svc, m.env(), "master")
			m.receives("READY=1")
			if got := svc.manual.Children("/master"); len(got) != number+1 {
				t.Errorf("ready, and the candidates are %q", got)
			}
			defer func() {
				c.Send(syscall.SIGTERM)
				m.receives("STOPPING=1")
				c.Exit(0)
				m.receivesNoMore()
			}()
		}
	})
	t.Run("receives_once_that_all_slots_of_a_worker_have_registered", func(t *testing.T) {
		svc := start(t)
		m := newManager(t, "@"+fmt.Sprint("taskkeeper-test-", time.Now().UnixNano())) // a name that is no file
		c := under(svc, m.env(), "worker", "--slots", "40")
		m.receives("READY=1")
		if got := svc.manual.Children("/workers"); len(got) != 40 {
			t.Errorf("ready, and %d slots of 40 have registered", len(got))
		}
		first := svc.manual.Children("/workers")[0]
		svc.manual.Delete("/workers/" + first)
		c.Line(c.Stderr, "registering anew")
		c.Send(syscall.SIGINT)
		m.receives("STOPPING=1")
		c.Exit(0)
		m.receivesNoMore()
	})
	t.Run("is_unknown_to_the_commands_of_a_worker", func(t *testing.T) {
		svc := start(t)
		svc.master()
		m := newManager(t, filepath.Join(t.TempDir(), "notify"))
		under(svc, m.env(), "worker", "--exec", "env")
		m.receives("READY=1")
		c := svc.start("client", "run", "x")
		c.Exit(0)
		if env := c.Stdout.String(); !strings.Contains(env, "TASK_ID=") || regexp.MustCompile("NOTIFY|WATCHDOG").MatchString(env) {
			t.Errorf("environment of a command:\n%s", env)
		}
	})
	t.Run("that_is_gone_stops_no_program", func(t *testing.T) {
		svc := start(t)
		c := under(svc, []string{"NOTIFY_SOCKET=/none/notify"}, "worker")
		c.Line(c.Stderr, "could not tell systemd that the program is ready")
		svc.master()
		svc.start("client", "run", "0").Exit(0)
		c.Send(syscall.SIGTERM)
		c.Exit(0)
	})
}
