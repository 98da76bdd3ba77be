package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Config says what a Cluster consists of. The zero value is one server with a tick of
// 500 ms, and programs with sessions of 2 s.
type Config struct {
	Bin     string        // the programs' folder; without, that of this very program
	Servers int           // more than one: an ensemble
	Network bool          // each server and each program has a host of its own: see zktest.PrivateNetwork
	TLS     bool          // and the chroot is closed by a policy
	Tick    time.Duration // of the servers
	Timeout time.Duration // of the programs' sessions
	Chroot  string        // where the programs' znodes are; "/lab" without
	Out     io.Writer     // where the programs' logs are shown; nowhere without
}

// Cluster is ZooKeeper servers of its own, and programs that run on them.
type Cluster struct {
	*Programs
	Servers  []*zktest.Server
	Ensemble *zktest.Ensemble // of the servers; nil if there is one
	Network  *zktest.Network  // nil unless the Config asks for it

	cfg Config

	mu      sync.Mutex               // guards proxies
	proxies map[string]*zktest.Proxy // by the name of the program
}

// NewCluster starts the servers and returns once they serve. The caller must Close it.
func NewCluster(cfg Config) (c *Cluster, err error) {
	if cfg.Bin == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cfg.Bin = filepath.Dir(self)
	}
	cfg.Tick = cmp.Or(cfg.Tick, 500*time.Millisecond)
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Second)
	cfg.Chroot = cmp.Or(cfg.Chroot, "/lab")
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	c = &Cluster{cfg: cfg, proxies: make(map[string]*zktest.Proxy)}
	if err := c.serve(); err != nil {
		return nil, err
	}
	c.Programs = newPrograms(cfg.Out, c.Servers[0].Identity)
	if cfg.TLS {
		if err := c.Servers[0].Close(cfg.Chroot); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// serve starts the servers.
func (c *Cluster) serve() (err error) {
	o := zktest.Options{Tick: c.cfg.Tick, TLS: c.cfg.TLS}
	if c.cfg.Network {
		if c.Network, err = zktest.NewNetwork(); err != nil {
			return err
		}
		for i := range c.cfg.Servers {
			h, err := c.Network.Host(ServerName(i))
			if err != nil {
				return err
			}
			o.Hosts = append(o.Hosts, h)
		}
	}
	if c.cfg.Servers <= 1 {
		s, err := zktest.Start(o)
		c.Servers = []*zktest.Server{s}
		return err
	}
	if c.Ensemble, err = zktest.StartEnsemble(c.cfg.Servers, o); err == nil {
		c.Servers = c.Ensemble.Servers
	}
	return err
}

// ServerName is the name of server i, from 0, on a network of their own and in timelines.
func ServerName(i int) string { return fmt.Sprintf("server-%d", i+1) }

// Name is the name of a server.
func (c *Cluster) Name(s *zktest.Server) string { return ServerName(slices.Index(c.Servers, s)) }

// Close kills the programs and removes the servers with all that they have written.
func (c *Cluster) Close() {
	if c.Programs != nil {
		c.KillAll()
	}
	for _, p := range c.proxies {
		p.Close()
	}
	if c.Ensemble != nil {
		c.Ensemble.Stop()
	} else {
		c.Servers[0].Stop()
	}
}

// Connect is the connect string of the servers, with the chroot.
func (c *Cluster) Connect() string {
	if c.Ensemble != nil {
		return c.Ensemble.Connect() + c.cfg.Chroot
	}
	return c.Servers[0].Addr() + c.cfg.Chroot
}

// Proxy is the proxy that a program connects through, from its next start on.
func (c *Cluster) Proxy(name string) (*zktest.Proxy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.proxies[name]; p != nil {
		return p, nil
	}
	p, err := zktest.NewProxy(c.Servers[0].Addr())
	if err == nil {
		c.proxies[name] = p
	}
	return p, err
}

// Start starts a program under a name, which begins with the program's: worker-1.
func (c *Cluster) Start(name string, args ...string) error {
	return c.StartFrom(c.cfg.Bin, name, args...)
}

// StartFrom is Start, of a program in another folder.
func (c *Cluster) StartFrom(dir, name string, args ...string) error {
	var command []string
	if c.Network != nil {
		h, err := c.Network.Host(name)
		if err != nil {
			return err
		}
		command = slices.Clone(h.Within)
	}
	connect := c.Connect()
	c.mu.Lock()
	if p := c.proxies[name]; p != nil {
		connect = p.Addr() + c.cfg.Chroot
	}
	c.mu.Unlock()
	command = append(append(command, programPath(dir, name)), args...)
	return c.run(name, append(command, "--zk", connect, "--session-timeout", c.cfg.Timeout.String(), "--log-format", "json", "--log-level", "info"))
}

// Ready starts a program and waits for the line that it logs when it is ready.
func (c *Cluster) Ready(ctx context.Context, name, line string, args ...string) error {
	began := time.Now()
	if err := c.Start(name, args...); err != nil {
		return err
	}
	_, err := c.Await(ctx, began, name+" to be "+line, func(e Event) bool { return e.From == name && e.Msg == line })
	return err
}

// Session opens a session of the caller's own, as a role, on some servers of the cluster:
// "" means all.
func (c *Cluster) Session(ctx context.Context, role, connect string) (*session.Session, error) {
	address, err := session.ParseAddress(cmp.Or(connect, c.Connect()))
	if err != nil {
		return nil, err
	}
	return session.Open(ctx, session.Config{Address: address, TLS: c.Servers[0].Identity(role)})
}

// Children lists one of the service's permanent znodes; nil if it is missing.
func (c *Cluster) Children(ctx context.Context, dir string) ([]string, error) {
	s, err := c.Session(ctx, "viewer", "")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return children(s, dir)
}

func children(s *session.Session, dir string) ([]string, error) {
	names, _, err := s.Children(dir)
	if errors.Is(err, zk.ErrNoNode) {
		return nil, nil
	}
	return names, err
}

// Remains counts the znodes below the permanent ones, as a server shows them; nil means any.
func (c *Cluster) Remains(ctx context.Context, server *zktest.Server) (n int, err error) {
	connect := ""
	if server != nil {
		connect = server.Addr() + c.cfg.Chroot
	}
	s, err := c.Session(ctx, "viewer", connect)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for _, dir := range task.Dirs() {
		names, err := children(s, dir)
		if err != nil {
			return 0, err
		}
		n += len(names)
	}
	return n, nil
}

// Pause lets time pass, where nothing is waited for. It returns the cause of ctx's end, if
// that comes first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
