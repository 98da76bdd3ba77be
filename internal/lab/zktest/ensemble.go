package zktest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// An Ensemble is several ZooKeeper servers on this machine that serve as one.
type Ensemble struct {
	Servers []*Server
	dir     string
}

const (
	// between is how far the ports that a server is reached at are apart: for
	// clients, for the other servers, for elections; see scripts/zookeeper.
	between = 707

	// usualPort is the one of servers that share no host with others.
	usualPort = 2181
)

// StartEnsemble starts an ensemble and returns once all its servers serve. The
// caller must Stop it. A session lasts from two ticks; servers that hear nothing
// of their leader for five elect another one.
func StartEnsemble(servers int, o Options) (*Ensemble, error) {
	if o.Hosts != nil && len(o.Hosts) != servers {
		return nil, fmt.Errorf("start %d ZooKeeper servers: there are %d hosts", servers, len(o.Hosts))
	}
	script, dir, err := o.place()
	if err != nil {
		return nil, err
	}
	e := &Ensemble{dir: dir}
	var ca *CA
	if o.TLS {
		var hosts []string
		for _, h := range o.Hosts {
			hosts = append(hosts, h.Addr)
		}
		ca, err = certify(dir, hosts)
	}
	if err == nil {
		err = e.seat(servers, script, ca, o)
	}
	if err != nil {
		e.Stop()
		return nil, err
	}
	if err := e.Restart(); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// seat gives each server its place.
func (e *Ensemble) seat(servers int, script string, ca *CA, o Options) error {
	member := []string{"--servers", strconv.Itoa(servers)}
	port := usualPort
	if o.Hosts != nil {
		var addrs []string
		for _, h := range o.Hosts {
			addrs = append(addrs, h.Addr)
		}
		member = []string{"--hosts", strings.Join(addrs, ",")}
	} else {
		var err error
		if port, err = freePorts(servers); err != nil {
			return err
		}
	}
	member = append(member, "--dir", e.dir, "--port", strconv.Itoa(port))
	for n := 1; n <= servers; n++ {
		s := &Server{
			script: script, dir: filepath.Join(e.dir, fmt.Sprintf("server-%d", n)), at: Host{Addr: host}, port: port, tick: o.Tick, flags: o.Flags, ca: ca, fewWords: o.FewWords,
			member: append(member[:len(member):len(member)], strconv.Itoa(n)),
		}
		if o.Hosts != nil {
			s.at = o.Hosts[n-1]
		} else {
			s.port += n - 1
		}
		e.Servers = append(e.Servers, s)
	}
	return nil
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

// Restart starts those servers that are down and returns once they serve.
func (e *Ensemble) Restart() error {
	down, err := e.launch()
	for _, s := range down {
		if err != nil {
			return err
		}
		s.mu.Lock()
		err = s.await()
		s.mu.Unlock()
	}
	return err
}

// Launch starts those servers that are down, and waits for nothing.
func (e *Ensemble) Launch() error {
	_, err := e.launch()
	return err
}

// launch starts those servers that are down: all at once, for one alone does not
// serve.
func (e *Ensemble) launch() (down []*Server, err error) {
	for _, s := range e.Servers {
		s.mu.Lock()
		if !s.process.alive() {
			down = append(down, s)
			err = s.launch()
		}
		s.mu.Unlock()
		if err != nil {
			return down, err
		}
	}
	return down, nil
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
		s.Stop()
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

var sessionOf = regexp.MustCompile(`[(,]sid=(0x[0-9a-f]+)[,)]`)

// Sessions are the ids of the sessions whose connections are with this server,
// as 0x….
func (s *Server) Sessions() (ids []string, err error) {
	answer, err := s.Ask("cons")
	if err != nil {
		return nil, err
	}
	for _, m := range sessionOf.FindAllStringSubmatch(answer, -1) {
		ids = append(ids, m[1])
	}
	return ids, nil
}
