package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Config says what a Cluster consists of.
type Config struct {
	Bin     string        // the programs' folder; without, that of this very program
	Servers int           // more than one: an ensemble
	Network bool          // each server and each program has a host of its own: see zktest.PrivateNetwork
	TLS     bool          // and the chroot is closed by a policy
	Tick    time.Duration // of the servers; without, 500 ms
	Timeout time.Duration // of the programs' sessions
	Chroot  string        // where the programs' znodes are
	Out     io.Writer     // where the programs' logs are shown; nowhere without
}

// Cluster is ZooKeeper servers of its own, programs that run on them, and what the programs
// have logged, as one stream.
type Cluster struct {
	// Fixed by NewCluster.
	Servers  []*zktest.Server
	Ensemble *zktest.Ensemble // of the servers, also if there is only one
	Network  *zktest.Network  // nil unless the Config asks for it
	cfg      Config
	began    time.Time

	events    feed[Event]
	following sync.WaitGroup // reads what the programs write

	mu      sync.Mutex // guards the rest, and Config.Out
	procs   map[string]*Process
	order   []string                 // names of programs in the order of their start
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
	cfg.Servers = max(cfg.Servers, 1)
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	c = &Cluster{cfg: cfg, procs: make(map[string]*Process), proxies: make(map[string]*zktest.Proxy)}
	o := zktest.Options{Tick: cmp.Or(cfg.Tick, 500*time.Millisecond), TLS: cfg.TLS}
	if cfg.Network {
		if c.Network, err = zktest.NewNetwork(); err != nil {
			return nil, err
		}
		o.Network = c.Network
	}
	if c.Ensemble, err = zktest.StartEnsemble(cfg.Servers, o); err != nil {
		return nil, err
	}
	c.Servers = c.Ensemble.Servers
	if cfg.TLS {
		if err := c.Servers[0].Close(cfg.Chroot); err != nil {
			c.Close()
			return nil, err
		}
	}
	c.began = time.Now()
	return c, nil
}

// ServerName is the name of server i, from 0, in timelines and of its host on a Network.
func ServerName(i int) string { return fmt.Sprintf("server-%d", i+1) }

// Name is the name of a server.
func (c *Cluster) Name(s *zktest.Server) string { return ServerName(slices.Index(c.Servers, s)) }

// Close kills the programs and removes the servers with all that they have written.
func (c *Cluster) Close() {
	c.KillAll()
	for _, p := range c.proxies {
		p.Close()
	}
	c.Ensemble.Stop()
}

// Connect is the connect string of the servers, with the chroot.
func (c *Cluster) Connect() string { return c.Ensemble.Connect() + c.cfg.Chroot }

// Proxy is the proxy that a program connects through, from its next start on.
func (c *Cluster) Proxy(name string) (p *zktest.Proxy, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proxies[name] == nil {
		if p, err = zktest.NewProxy(c.Servers[0].Addr()); err != nil {
			return nil, err
		}
		c.proxies[name] = p
	}
	return c.proxies[name], nil
}

// Start starts a program under a name, which begins with the program's: worker-1. Lines on the
// program's standard output count as results.
func (c *Cluster) Start(name string, args ...string) error {
	return c.StartFrom(c.cfg.Bin, name, args...)
}

// StartFrom is Start, of a program in another folder.
func (c *Cluster) StartFrom(dir, name string, args ...string) error {
	var within []string
	if c.Network != nil {
		h, err := c.Network.Host(name)
		if err != nil {
			return err
		}
		within = h.Within
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	connect := c.Connect()
	if p := c.proxies[name]; p != nil {
		connect = p.Addr() + c.cfg.Chroot
	}
	program, _, _ := strings.Cut(name, "-")
	command := slices.Concat(within, []string{filepath.Join(dir, program)}, args,
		[]string{"--zk", connect, "--session-timeout", c.cfg.Timeout.String(), "--log-format", "json", "--log-level", "info"})
	p, err := Start(Command{Path: command[0], Args: command[1:], Identity: c.Servers[0].Identity})
	if err != nil {
		return err
	}
	c.procs[name] = p
	c.order = append(c.order, name)
	for o, keep := range map[*Output]func(name, line string){p.Stderr: c.logged, p.Stdout: c.printed} {
		c.following.Go(func() {
			for line := range o.lines.follow(context.Background()) {
				keep(name, line)
			}
		})
	}
	return nil
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

// Process is the one that was started last under a name.
func (c *Cluster) Process(name string) *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.procs[name]
}

// Signal sends a signal to a program. One that has ended is an error.
func (c *Cluster) Signal(name string, sig syscall.Signal) error {
	p := c.Process(name)
	if p == nil {
		return fmt.Errorf("%s was not started", name)
	}
	return p.Signal(sig)
}

// Exit waits for a program's end, which must have the wanted status.
func (c *Cluster) Exit(ctx context.Context, name string, want int) error {
	status, err := c.Process(name).Wait(ctx)
	if err == nil && status != want {
		err = fmt.Errorf("%s ended with status %d, not %d", name, status, want)
	}
	return err
}

// StopAll ends all programs that still run by SIGTERM, the last one that was started first.
// Each must end with status 0.
func (c *Cluster) StopAll(ctx context.Context) error {
	c.mu.Lock()
	names := slices.Clone(c.order)
	c.mu.Unlock()
	for _, name := range slices.Backward(names) {
		if c.Signal(name, syscall.SIGTERM) != nil {
			continue // it has ended before
		}
		if err := c.Exit(ctx, name, 0); err != nil {
			return err
		}
	}
	return nil
}

// KillAll kills all programs that still run.
func (c *Cluster) KillAll() {
	c.mu.Lock()
	procs := maps.Clone(c.procs)
	c.mu.Unlock()
	for _, p := range procs {
		p.Kill()
	}
	c.following.Wait()
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
	return c.list(ctx, "", dir)
}

// Remains counts the znodes below the permanent ones, as a server shows them; nil means any.
func (c *Cluster) Remains(ctx context.Context, server *zktest.Server) (n int, err error) {
	connect := ""
	if server != nil {
		connect = server.Addr() + c.cfg.Chroot
	}
	names, err := c.list(ctx, connect, task.Dirs()...)
	return len(names), err
}

func (c *Cluster) list(ctx context.Context, connect string, dirs ...string) (all []string, err error) {
	s, err := c.Session(ctx, "viewer", connect)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for _, dir := range dirs {
		names, _, err := s.Children(dir)
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			return nil, err
		}
		all = append(all, names...)
	}
	return all, nil
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
