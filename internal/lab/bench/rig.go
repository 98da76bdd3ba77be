package bench

import (
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
	ownTick    = 500 * time.Millisecond // of a server of our own
	ownTimeout = 2 * time.Second        // of the sessions on it

	connecting = 10 * time.Second
	patience   = 60 * time.Second // what the service must get done by then
	leaving    = 15 * time.Second // how long the programs have to end
)

// rig is a ZooKeeper under load, and the programs that are run on it.
type rig struct {
	bin     string
	logs    string          // a folder of what the programs log
	level   string          // what they log
	server  *zktest.Server  // nil: a running installation
	closed  bool            // the server speaks TLS, and each site's chroot is closed by a policy
	base    session.Address // all is done below this chroot: of an installation, one that is the bench's own
	timeout time.Duration   // of the programs' sessions; the bench's own have the default, which outlasts a stall
	sites   int             // opened so far
	reached bool            // the servers were: the chroot may be there
}

// newRig starts a server, or takes the installation that is given. The rig must
// be closed.
func newRig(bin, level string, given *session.Address, closed bool, timeout time.Duration) (r *rig, err error) {
	r = &rig{bin: bin, level: level, closed: closed, timeout: timeout}
	if given != nil {
		r.base = session.Address{Servers: given.Servers, Chroot: given.Chroot + "/bench-" + uuid.NewString()}
	} else {
		// Servers as scripts/zookeeper starts them keep no audit log.
		o := zktest.Options{Tick: ownTick, TLS: closed, Flags: []string{"-Dzookeeper.audit.enable=false"}}
		if r.server, err = zktest.Start(o); err != nil {
			return nil, err
		}
		r.base = session.Address{Servers: []string{r.server.Addr()}}
	}
	r.logs, err = os.MkdirTemp("", "taskkeeper-bench-")
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// who is the identity of a role; the zero value without TLS.
func (r *rig) who(role string) identity.Files {
	if r.server == nil {
		return identity.Files{}
	}
	return r.server.Identity(role)
}

// close leaves nothing behind; the programs have ended before.
func (r *rig) close() error {
	if r.logs != "" {
		os.RemoveAll(r.logs)
	}
	if r.server != nil {
		r.server.Stop()
		return nil
	}
	if !r.reached {
		return nil
	}
	return r.remove(r.base.Chroot)
}

// remove deletes a znode of the installation and all below it, whoever made it.
// It has time of its own: it is also what is done after Ctrl-C.
func (r *rig) remove(chroot string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := session.Open(ctx, session.Config{Address: session.Address{Servers: r.base.Servers}, TLS: r.who("admin")})
	if err == nil {
		defer s.Close()
		err = deleteAll(s, chroot)
	}
	if err != nil {
		return fmt.Errorf("%s is left on %s: %w", chroot, strings.Join(r.base.Servers, ","), err)
	}
	return nil
}

// perDelete is how many znodes are deleted at once.
const perDelete = 1000

func deleteAll(s *session.Session, path string) error {
	for {
		names, _, err := s.Children(path)
		if errors.Is(err, zk.ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		var ops []session.Op
		for _, name := range names {
			ops = append(ops, session.Delete(path+"/"+name, session.AnyVersion))
		}
		if len(ops) == 0 {
			ops = []session.Op{session.Delete(path, session.AnyVersion)}
		}
		for len(ops) > 0 {
			some := ops[:min(perDelete, len(ops))]
			var refused *session.OpError
			switch _, err := s.Multi(some...); {
			case err == nil:
				ops = ops[len(some):]
			case errors.Is(err, session.ErrUnknown): // what was deleted is refused now
			case !errors.As(err, &refused):
				return err
			default:
				if errors.Is(err, zk.ErrNotEmpty) && len(names) > 0 {
					err = deleteAll(s, refused.Op.Path)
				}
				if err != nil && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrNotEmpty) {
					return err
				}
				ops = slices.Delete(ops, refused.Index, refused.Index+1)
			}
		}
		if len(names) == 0 {
			if _, _, err := s.Get(path); errors.Is(err, zk.ErrNoNode) {
				return nil
			}
		}
	}
}

// cast is who is there when rows begin.
type cast struct {
	masters, workers, slots int
	waiting                 bool // and as many tasks wait as the bench is told to have waiting
	closed                  bool // under TLS and a policy
	page                    bool // the masters serve theirs
}

// site is the service in a chroot of its own.
type site struct {
	rig     *rig
	cfg     session.Config   // as a client
	page    string           // where the last master serves its page; "": nowhere
	hand    *session.Session // the bench's own: it looks, and plays roles by hand
	logs    string
	members []*member
	queue   *queue // what waits, if any does
}

type member struct {
	*harness.Process
	name string
	log  string
}

// open assembles a cast.
func (r *rig) open(ctx context.Context, c cast) (s *site, err error) {
	r.sites++
	s = &site{rig: r, logs: filepath.Join(r.logs, fmt.Sprint(r.sites))}
	at := session.Address{Servers: r.base.Servers, Chroot: fmt.Sprintf("%s/%d", r.base.Chroot, r.sites)}
	s.cfg = session.Config{Address: at, TLS: r.who("client")}
	if err := os.Mkdir(s.logs, 0o755); err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeout(ctx, connecting)
	defer cancel()
	if r.closed {
		if err := r.server.Close(at.Chroot); err != nil {
			return nil, err
		}
	}
	if s.hand, err = session.Open(opening, session.Config{Address: at, TLS: r.who("admin")}); err != nil {
		return nil, err
	}
	r.reached = true
	if c != (cast{}) {
		err = s.hand.EnsureDirs(task.Dirs()...)
	}
	if c.page {
		s.page, err = freeAddress()
	}
	for range c.masters {
		if err == nil {
			_, err = s.master(ctx)
		}
	}
	for range c.workers {
		if err == nil {
			_, err = s.worker(ctx, c.slots)
		}
	}
	if err == nil && c.workers > 0 {
		err = s.registered(ctx, c.workers*c.slots)
	}
	if err != nil {
		return nil, errors.Join(err, s.close(false))
	}
	return s, nil
}

// close ends the programs, in good order if all went well, and removes the chroot.
func (s *site) close(well bool) error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	if well {
		for _, m := range slices.Backward(s.members) {
			_ = m.Signal(syscall.SIGTERM) // it may have ended, or been killed
		}
		for _, m := range s.members {
			if _, err := m.Wait(ctx); err != nil {
				errs = append(errs, err)
			}
		}
	}
	for _, m := range s.members {
		m.Kill()
	}
	s.hand.Close()
	os.RemoveAll(s.logs)
	if well || s.rig.server == nil { // else it goes with its server
		errs = append(errs, s.rig.remove(s.cfg.Address.Chroot))
	}
	return errors.Join(errs...)
}

// start starts a program. It logs to a file, as a daemon does: to read along
// would be load of the bench's own.
func (s *site) start(program, out, in string, args ...string) (*member, error) {
	m := &member{name: program, log: filepath.Join(s.logs, fmt.Sprintf("%s-%d.log", program, len(s.members)+1))}
	args = append([]string{"-c", `exec "$@" >"$out" 2>"$log"`, "sh", filepath.Join(s.rig.bin, program)}, args...)
	args = append(args, "--zk", s.cfg.Address.String(), "--session-timeout", s.rig.timeout.String(), "--log-level", s.rig.level)
	p, err := harness.Start(harness.Command{Path: "/bin/sh", Args: args, In: in, Env: []string{"out=" + out, "log=" + m.log}, Identity: s.rig.who})
	if err != nil {
		return nil, err
	}
	m.Process = p
	s.members = append(s.members, m)
	return m, nil
}

// master starts a master and waits until it is a candidate.
func (s *site) master(ctx context.Context) (*member, error) {
	before, _, err := s.hand.Children(task.MasterDir)
	if err != nil {
		return nil, err
	}
	var args []string
	if s.page != "" {
		args = []string{"--http", s.page}
	}
	m, err := s.start("master", os.DevNull, "", args...)
	if err != nil {
		return nil, err
	}
	return m, s.children(ctx, task.MasterDir, len(before)+1, "a master joins")
}

func (s *site) worker(ctx context.Context, slots int) (*member, error) {
	return s.start("worker", os.DevNull, "", "--slots", fmt.Sprint(slots))
}

// registered waits until so many workers are there.
func (s *site) registered(ctx context.Context, n int) error {
	return s.children(ctx, task.WorkersDir, n, "the workers register")
}

func (s *site) children(ctx context.Context, dir string, n int, what string) error {
	return s.until(ctx, what, func() (bool, error) {
		names, _, err := s.hand.Children(dir)
		return len(names) >= n, err
	})
}

// glance is how often the bench looks whether something is so.
const glance = 5 * time.Millisecond

// until looks again and again. A program that ends meanwhile is not waited for.
func (s *site) until(ctx context.Context, what string, so func() (bool, error)) error {
	return s.look(ctx, patience, glance, what, so)
}

// closely is until, where a millisecond counts.
func (s *site) closely(ctx context.Context, what string, so func() (bool, error)) error {
	return s.look(ctx, patience, time.Millisecond, what, so)
}

func (s *site) look(ctx context.Context, limit, every time.Duration, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		if err := s.alive(); err != nil {
			return err
		}
		if err := harness.Pause(ctx, every); err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
}

// succeeds waits for the program's end, and fails unless its status is 0.
func (m *member) succeeds(ctx context.Context) error {
	status, err := m.Wait(ctx)
	if err == nil && status != 0 {
		err = m.failure(status)
	}
	return err
}

// failure says how the program ended, with the end of its log.
func (m *member) failure(status int) error {
	text, _ := os.ReadFile(m.log)
	return fmt.Errorf("%s ended with status %d: %s", m.name, status, strings.TrimSpace(string(text[max(0, len(text)-500):])))
}

// alive fails when a program that was started has ended by itself, not by a
// signal of ours.
func (s *site) alive() error {
	for _, m := range s.members {
		select {
		case <-m.Done():
			status, _ := m.Wait(context.Background())
			if !slices.Contains([]int{0, 128 + int(syscall.SIGTERM), 128 + int(syscall.SIGKILL)}, status) {
				return m.failure(status)
			}
		default:
		}
	}
	return nil
}
