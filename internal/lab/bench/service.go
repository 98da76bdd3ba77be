package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/uuid"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

const (
	ownTick    = 500 * time.Millisecond // of a server that the bench starts
	ownTimeout = 2 * time.Second        // of sessions on such a server

	connectLimit = 10 * time.Second
	waitLimit    = 2 * time.Minute // an installation that does 100,000 tasks so slowly is not measured
	endLimit     = 15 * time.Second
	pollEvery    = 5 * time.Millisecond
)

// servers are the ZooKeeper servers under load: one that the bench starts, or a running
// installation.
type servers struct {
	bin     string          // the folder of the programs
	own     *zktest.Server  // nil: a running installation
	closed  bool            // the server speaks TLS, and each chroot is closed by a policy
	base    session.Address // the chroots of all services are below this one, which the bench creates in an installation
	timeout time.Duration   // of the programs' sessions; those of the bench have the default, which outlasts a pause
	opened  int             // services so far
}

// newServers starts a server, or takes a running installation. The caller must close it.
func newServers(o options, closed bool) (*servers, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sv := &servers{bin: filepath.Dir(program), closed: closed}
	if o.running() {
		sv.base = session.Address{Servers: o.installation.Servers, Chroot: o.installation.Chroot + "/bench-" + uuid.NewString()}
		sv.timeout = cmp.Or(o.timeout, session.DefaultTimeout)
		return sv, nil
	}
	// A server that scripts/zookeeper starts keeps no audit log.
	sv.own, err = zktest.Start(zktest.Options{Tick: ownTick, TLS: closed, Flags: []string{"-Dzookeeper.audit.enable=false"}})
	if err != nil {
		return nil, err
	}
	sv.base = session.Address{Servers: []string{sv.own.Addr()}}
	sv.timeout = cmp.Or(o.timeout, ownTimeout)
	return sv, nil
}

// identity returns the certificate of a role; the zero value without TLS.
func (sv *servers) identity(role string) identity.Files {
	if sv.own == nil {
		return identity.Files{}
	}
	return sv.own.Identity(role)
}

// close removes all that is left of the services, which have ended before.
func (sv *servers) close() error {
	if sv.own != nil {
		sv.own.Stop()
		return nil
	}
	if sv.opened == 0 {
		return nil // perhaps nobody answers
	}
	return sv.remove(sv.base.Chroot)
}

// remove deletes a znode and all znodes below it. It takes no context, because it must also
// work after Ctrl-C.
func (sv *servers) remove(chroot string) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectLimit)
	defer cancel()
	s, err := session.Open(ctx, session.Config{Address: session.Address{Servers: sv.base.Servers}, TLS: sv.identity("admin")})
	if err == nil {
		defer s.Close()
		err = deleteAll(s, chroot)
	}
	if err != nil {
		return fmt.Errorf("%s is left on %s: %w", chroot, strings.Join(sv.base.Servers, ","), err)
	}
	return nil
}

// deleteAll deletes a znode and all znodes below it. Others may delete and create there
// meanwhile.
func deleteAll(s *session.Session, path string) error {
	for {
		names, _, err := s.Children(path)
		if errors.Is(err, zk.ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(names) == 0 {
			_, err := s.Multi(session.Delete(path, session.AnyVersion))
			if err != nil && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrNotEmpty) && !errors.Is(err, session.ErrUnknown) {
				return err
			}
		}
		for some := range slices.Chunk(names, 1000) {
			var ops []session.Op
			for _, name := range some {
				ops = append(ops, session.Delete(path+"/"+name, session.AnyVersion))
			}
			if _, err := s.Multi(ops...); err == nil {
				continue
			}
			for _, name := range some { // one is gone, or has children
				if err := deleteAll(s, path+"/"+name); err != nil {
					return err
				}
			}
		}
	}
}

// service is masters, workers and clients in a chroot of their own.
type service struct {
	on       *servers
	cfg      session.Config   // of a client
	session  *session.Session // of the bench itself
	dir      string           // of the programs' output
	programs []*program       // in the order of their start
}

type program struct {
	*harness.Process
	name   string // master, worker or client
	output string // path of its standard output, without .out; .log is its standard error
}

// results counts the results that a client has printed, of tasks that only sleep.
func (p *program) results() int {
	info, err := os.Stat(p.output + ".out")
	if err != nil {
		return 0 // the client has not begun
	}
	return int(info.Size()) / len("0\n")
}

// open starts a service with some masters, and with one worker unless slots is 0. The first
// master leads. The caller must close the service.
func (sv *servers) open(ctx context.Context, masters, slots int) (s *service, err error) {
	at := session.Address{Servers: sv.base.Servers, Chroot: fmt.Sprintf("%s/%d", sv.base.Chroot, sv.opened+1)}
	s = &service{on: sv, cfg: session.Config{Address: at, TLS: sv.identity("client")}}
	if sv.closed {
		if err := sv.own.Close(at.Chroot); err != nil {
			return nil, err
		}
	}
	connecting, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if s.session, err = session.Open(connecting, session.Config{Address: at, TLS: sv.identity("admin")}); err != nil {
		return nil, err
	}
	sv.opened++
	if s.dir, err = os.MkdirTemp("", "taskkeeper-bench-"); err == nil {
		err = s.session.EnsureDirs(task.Dirs()...)
	}
	for n := range masters {
		if err == nil {
			_, err = s.start("", "master")
		}
		if err == nil {
			err = s.joined(ctx, task.MasterDir, n+1)
		}
	}
	if err == nil && slots > 0 {
		_, err = s.worker(ctx, slots)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close ends the programs, which give back and withdraw their tasks, and removes the chroot.
func (s *service) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	var errs []error
	for _, p := range slices.Backward(s.programs) {
		_ = p.Signal(syscall.SIGTERM) // fails if it has ended
	}
	for _, p := range s.programs {
		_, err := p.Wait(ctx)
		errs = append(errs, err)
		p.Kill()
	}
	s.session.Close()
	os.RemoveAll(s.dir)
	return errors.Join(append(errs, s.on.remove(s.cfg.Address.Chroot))...)
}

// start starts a program with an input. Its output goes to files, as that of a daemon does:
// to read it here would take processor time that a real installation does not need.
func (s *service) start(in, name string, args ...string) (*program, error) {
	p := &program{name: name, output: filepath.Join(s.dir, fmt.Sprintf("%s-%d", name, len(s.programs)+1))}
	args = slices.Concat([]string{"-c", `exec "$@" >"$0.out" 2>"$0.log"`, p.output, filepath.Join(s.on.bin, name)}, args,
		[]string{"--zk", s.cfg.Address.String(), "--session-timeout", s.on.timeout.String(), "--log-level", "info"})
	var err error
	if p.Process, err = harness.Start(harness.Command{Path: "/bin/sh", Args: args, In: in, Identity: s.on.identity}); err != nil {
		return nil, err
	}
	s.programs = append(s.programs, p)
	return p, nil
}

// worker starts a worker and waits until all of its slots are registered.
func (s *service) worker(ctx context.Context, slots int, args ...string) (*program, error) {
	names, _, err := s.session.Children(task.WorkersDir)
	if err != nil {
		return nil, err
	}
	p, err := s.start("", "worker", append([]string{"--slots", fmt.Sprint(slots)}, args...)...)
	if err != nil {
		return nil, err
	}
	return p, s.joined(ctx, task.WorkersDir, len(names)+slots)
}

// joined waits until a directory has n children.
func (s *service) joined(ctx context.Context, dir string, n int) error {
	return s.until(ctx, fmt.Sprintf("%s has %d children", dir, n), func() (bool, error) {
		names, _, err := s.session.Children(dir)
		return len(names) >= n, err
	})
}

// until polls until a condition is true. It fails as soon as a program fails.
func (s *service) until(ctx context.Context, what string, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		ok, err := condition()
		if ok || err != nil {
			return err
		}
		if err := s.failed(); err != nil {
			return err
		}
		if err := harness.Pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
}

// failed returns an error, with the end of its log, if a program has ended by itself with
// another status than 0.
func (s *service) failed() error {
	for _, p := range s.programs {
		select {
		case <-p.Done():
		default:
			continue
		}
		status, _ := p.Wait(context.Background())
		if !slices.Contains([]int{0, 128 + int(syscall.SIGTERM), 128 + int(syscall.SIGKILL)}, status) {
			text, _ := os.ReadFile(p.output + ".log")
			return fmt.Errorf("%s ended with status %d: %s", p.name, status, strings.TrimSpace(string(text[max(0, len(text)-500):])))
		}
	}
	return nil
}
