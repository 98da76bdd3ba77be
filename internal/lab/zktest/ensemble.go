package zktest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Ensemble is ZooKeeper servers that serve as one.
type Ensemble struct {
	Servers []*Server
	dir     string
}

// between is how far the ports of an ensemble's server are apart: for clients, for the other
// servers, and 1000 further for elections; see scripts/zookeeper.
const between = 707

// StartEnsemble starts an ensemble, or a standalone server if n is 1, and returns once all
// servers serve. The caller must Stop it. A session lasts from two ticks; servers that hear
// nothing of their leader for five elect another one.
func StartEnsemble(n int, o Options) (*Ensemble, error) {
	for attempt := 1; ; attempt++ {
		e, err := newEnsemble(n, o)
		if err == nil {
			err = e.Restart()
		}
		if err == nil {
			return e, nil
		}
		e.Stop()
		// Another program may have taken a port after this one has seen it free.
		if attempt == 3 || len(e.Servers) == 0 || o.Network != nil || areFree(e.Servers[0].port, n) {
			return nil, err
		}
	}
}

// newEnsemble makes the files of an ensemble. With an error, it is to be stopped as well.
func newEnsemble(n int, o Options) (*Ensemble, error) {
	e := &Ensemble{}
	tick := cmp.Or(o.Tick, 100*time.Millisecond)
	if tick < time.Millisecond {
		return e, fmt.Errorf("start ZooKeeper: Tick %v is below 1 ms", tick)
	}
	root, err := Checkout()
	if err != nil {
		return e, fmt.Errorf("find scripts/zookeeper: %w", err)
	}
	if e.dir, err = os.MkdirTemp("", "taskkeeper-zookeeper-"); err != nil {
		return e, err
	}
	// A server reports its folder by the real path; see serves.
	if e.dir, err = filepath.EvalSymlinks(e.dir); err != nil {
		return e, err
	}

	port := 2181 // the usual one, of servers that share no host with others
	var hosts []Host
	var addrs []string
	if o.Network == nil {
		if port, err = freePort(n); err != nil {
			return e, err
		}
	} else {
		for i := range n {
			h, err := o.Network.Host(fmt.Sprintf("server-%d", i+1))
			if err != nil {
				return e, err
			}
			hosts, addrs = append(hosts, h), append(addrs, h.Addr)
		}
	}
	command := []string{filepath.Join(root, "scripts", "zookeeper"), "run", "--no-install", "--keep-logs", "--heap", heap,
		"--tick", strconv.FormatInt(tick.Milliseconds(), 10), "--dir", e.dir, "--port", strconv.Itoa(port)}
	flags, env := o.Flags, []string(nil)
	var ca *CA
	if o.TLS {
		if ca, err = certify(filepath.Join(e.dir, "tls"), addrs); err != nil {
			return e, err
		}
		command = append(command, "--tls")
		if !o.FewWords {
			command = append(command, "--all-words")
		}
		flags = append([]string{"-Dzookeeper.audit.enable=true"}, flags...) // a later flag may undo that
	}
	if hosts != nil {
		command = append(command, "--hosts", strings.Join(addrs, ","))
	} else if n > 1 {
		command = append(command, "--servers", strconv.Itoa(n))
	}
	if len(flags) > 0 {
		env = []string{"SERVER_JVMFLAGS=" + strings.Join(flags, " ")}
	}
	for i := range n {
		s := &Server{command: command, env: env, at: Host{Addr: host}, port: port + i, dir: e.dir, ca: ca}
		if hosts != nil {
			s.at, s.port = hosts[i], port
		}
		if hosts != nil || n > 1 {
			number := strconv.Itoa(i + 1)
			s.dir = filepath.Join(e.dir, "server-"+number)
			s.command = slices.Concat(s.at.Within, command, []string{number})
		}
		servers.Store(s.Addr(), s)
		e.Servers = append(e.Servers, s)
	}
	return e, nil
}

// freePort finds a port from which on all ports are free that n servers need. It is below the
// ports that the kernel gives to outgoing connections: while a server is down, a client that
// dials it again must not get its port.
func freePort(n int) (int, error) {
	const low = 10_000
	high := 32_768 // Linux's default
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(text), &high)
	}
	high = max(high, low+1000)
	for range 100 {
		if port := low + rand.IntN(high-low); areFree(port, n) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("start ZooKeeper: no free port for each of %d servers", n)
}

// areFree reports whether nobody listens on the ports of n servers.
func areFree(port, n int) bool {
	for i := port; i < port+n; i++ {
		ports := []int{i, i + between, i + 1000 + between}
		if n == 1 {
			ports = ports[:1]
		}
		for _, p := range ports {
			l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
			if err != nil {
				return false
			}
			l.Close()
		}
	}
	return true
}

// Checkout is the root of the checkout that the working directory lies in.
func Checkout() (string, error) {
	wd, err := os.Getwd()
	if err == nil {
		wd, err = filepath.EvalSymlinks(wd) // go build -overlay knows files by their real paths
	}
	if err != nil {
		return "", err
	}
	for dir := wd; dir != "/"; dir = filepath.Dir(dir) {
		if text, _ := os.ReadFile(filepath.Join(dir, "go.mod")); strings.HasPrefix(string(text), "module taskkeeper\n") {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%s is not inside a checkout of taskkeeper", wd)
}

// Restart starts those servers that are down and returns once they serve.
func (e *Ensemble) Restart() error {
	down, err := e.launch()
	for _, s := range down {
		if err == nil {
			err = s.await()
		}
	}
	return err
}

// Launch starts those servers that are down, and waits for nothing.
func (e *Ensemble) Launch() error {
	_, err := e.launch()
	return err
}

// launch starts all servers that are down before anyone waits for one: one alone does not serve.
func (e *Ensemble) launch() (down []*Server, err error) {
	for _, s := range e.Servers {
		if err == nil && !s.Alive() {
			down = append(down, s)
			err = s.launch()
		}
	}
	return down, err
}

// Connect is the connect string of all servers.
func (e *Ensemble) Connect() string {
	var addrs []string
	for _, s := range e.Servers {
		addrs = append(addrs, s.Addr())
	}
	return strings.Join(addrs, ",")
}

// Leader finds the server that leads the others; nil if there is none. In a
// partition that may be one that is not yet aware of it.
func (e *Ensemble) Leader() *Server { return e.find("leader") }

// Follower finds a server that follows the leader; nil if there is none.
func (e *Ensemble) Follower() *Server { return e.find("follower") }

func (e *Ensemble) find(mode string) *Server {
	for _, s := range e.Servers {
		if is, _ := s.Mode(); is == mode {
			return s
		}
	}
	return nil
}

// Stop ends all servers and removes their files.
func (e *Ensemble) Stop() {
	for _, s := range e.Servers {
		s.Stop()
	}
	os.RemoveAll(e.dir)
}

var sessionOf = regexp.MustCompile(`[(,]sid=(0x[0-9a-f]+)[,)]`)

// Sessions are the ids of the sessions whose connections are with this server,
// as 0x….
func (s *Server) Sessions() (ids []string, err error) {
	answer, err := s.Ask("cons")
	for _, m := range sessionOf.FindAllStringSubmatch(answer, -1) {
		ids = append(ids, m[1])
	}
	return ids, err
}
