package zktest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An Ensemble is several ZooKeeper servers on this machine that serve as one.
type Ensemble struct {
	Servers []*Server
	dir     string
}

// between is how far the ports that a server is reached at are apart: for
// clients, for the other servers, for elections; see scripts/zookeeper.
const between = 707

// StartEnsemble starts an ensemble and returns once all its servers serve. The
// caller must Stop it. A session lasts from two ticks; servers that hear nothing
// of their leader for five elect another one.
func StartEnsemble(servers int, o Options) (*Ensemble, error) {
	script, dir, err := o.place()
	if err != nil {
		return nil, err
	}
	port, err := freePorts(servers)
	if err != nil {
		return nil, err
	}
	e := &Ensemble{dir: dir}
	for n := 1; n <= servers; n++ {
		e.Servers = append(e.Servers, &Server{
			script: script, dir: filepath.Join(dir, fmt.Sprintf("server-%d", n)), port: port + n - 1, tick: o.Tick,
			member: []string{"--servers", strconv.Itoa(servers), "--dir", dir, "--port", strconv.Itoa(port), strconv.Itoa(n)},
		})
	}
	if err := e.Restart(); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// freePorts finds a port from which on all are free that an ensemble needs.
func freePorts(servers int) (int, error) {
	for range 100 {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		free := true
		for n := range servers {
			for _, p := range []int{port + n, port + n + between, port + n + 1000 + between} {
				free = free && isFree(p)
			}
		}
		if free {
			return port, nil
		}
	}
	return 0, fmt.Errorf("start %d ZooKeeper servers: no free ports", servers)
}

// Restart starts those servers that are down and returns once all serve.
func (e *Ensemble) Restart() error {
	var down []*Server
	for _, s := range e.Servers {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.process.alive() {
			down = append(down, s)
		}
	}
	for _, s := range down { // first all: one alone does not serve
		if err := s.launch(); err != nil {
			return err
		}
	}
	for _, s := range down {
		if err := s.await(); err != nil {
			return err
		}
	}
	return nil
}

// Connect is the connect string of all servers.
func (e *Ensemble) Connect() string {
	var addrs []string
	for _, s := range e.Servers {
		addrs = append(addrs, s.Addr())
	}
	return strings.Join(addrs, ",")
}

// Leader finds the server that leads the others; nil if there is none.
func (e *Ensemble) Leader() *Server {
	for _, s := range e.Servers {
		if mode, _ := s.Mode(); mode == "leader" {
			return s
		}
	}
	return nil
}

// Follower finds a server that follows the leader; nil if there is none.
func (e *Ensemble) Follower() *Server {
	for _, s := range e.Servers {
		if mode, _ := s.Mode(); mode == "follower" {
			return s
		}
	}
	return nil
}

// Stop ends all servers and removes their files.
func (e *Ensemble) Stop() {
	for _, s := range e.Servers {
		s.Kill()
	}
	os.RemoveAll(e.dir)
}

// Mode is what the server is: standalone, leader or follower; an error while it
// does not serve.
func (s *Server) Mode() (string, error) {
	answer, err := s.Srvr()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode), nil
		}
	}
	return "", fmt.Errorf("%s does not serve: %s", s.Addr(), strings.TrimSpace(answer))
}
