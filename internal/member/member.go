package member

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// Protocol is the number that this version speaks.
const Protocol = 1

// ErrProtocol means that the installation speaks another protocol than this program.
var ErrProtocol = errors.New("another protocol")

// The roles.
const (
	Master = "master"
	Worker = "worker"
	Client = "client" // has no znode under /members
)

// Facts of a znode.
const (
	factRole     = "role"
	factProtocol = "protocol"
	factVersion  = "version"
	factHTTP     = "http"
)

// Config describes a process.
type Config struct {
	Role    string
	Queue   string // of a worker
	Version string // of the program
	HTTP    string // where it serves that, host:port; "": nowhere
	Logger  *slog.Logger
}

// Told is what a member's znode holds, or /members itself.
type Told struct {
	Role     string // of a member
	Protocol string // a number, unless a person wrote something else
	Version  string // of the program that wrote it; "": none is given
	HTTP     string // of a member: where it serves that
}

// Parse reads what a znode holds.
func Parse(data []byte) Told {
	facts := task.Facts(bytes.TrimSpace(data[:min(len(data), task.MaxFacts)]))
	return Told{
		Role: facts.Get(factRole), Protocol: cmp.Or(facts.Get(factProtocol), "1"), Version: facts.Get(factVersion), HTTP: facts.Get(factHTTP),
	}
}

// Within returns a role that is played as a member. It fails with ErrProtocol, before it
// begins or later, where the installation speaks another protocol than this program.
func Within(cfg Config, role session.Role) session.Role {
	return func(ctx context.Context, s *session.Session) error {
		m := &member{cfg: cfg, s: s, hints: s.Hints(task.MembersDir, access.Znode), registered: cfg.Role == Client}
		defer s.Forget(task.MembersDir, access.Znode)
		if err := m.check(); err != nil {
			return err
		}
		if err := m.register(); err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			if err := m.watch(ctx); err != nil {
				cancel(err)
			}
		}()
		err := role(ctx, s)
		if cause := context.Cause(ctx); errors.Is(cause, ErrProtocol) {
			err = cause
		}
		cancel(nil)
		<-watched
		return err
	}
}

// member is a process on one session.
type member struct {
	cfg     Config
	s       *session.Session
	hints   *session.Hints
	watched bool // the data of /members

	registered bool // or it need not be
	told       bool // why it is not
}

// watch reads the protocol and the policy again whenever they may have changed: a session ends
// whose role the policy takes away. A process that could not register tries again.
func (m *member) watch(ctx context.Context) error {
	for {
		var again <-chan time.Time
		if !m.registered {
			again = time.After(session.RefusedPause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again:
			if err := m.register(); err != nil {
				return err
			}
		case <-m.hints.C:
			if paths, _ := m.hints.Take(); paths[task.MembersDir].Times > 0 {
				m.watched = false
			}
			if err := m.check(); err != nil {
				return err
			}
			_, _ = m.s.Policy() // what it cannot be read for is logged
		}
	}
}

// check reads the protocol of the installation. A master writes it where there is none.
func (m *member) check() error {
	for {
		get := m.s.GetW
		if m.watched {
			get = m.s.Get
		}
		data, stat, err := get(task.MembersDir)
		switch {
		case errors.Is(err, zk.ErrNoNode) && m.cfg.Role == Client:
			return nil // nothing is there yet, or any more
		case errors.Is(err, zk.ErrNoNode):
			m.registered = false // that went with it
			if err := m.s.EnsureDirs(task.MembersDir); err != nil {
				return m.without(err)
			}
			continue
		case err != nil:
			return m.without(err)
		}
		m.watched = true
		if told := Parse(data); told.Protocol != strconv.Itoa(Protocol) {
			return m.foreign(told)
		}
		if len(data) > 0 || m.cfg.Role != Master {
			return nil
		}
		switch _, err := m.s.Multi(session.Set(task.MembersDir, []byte(m.facts()), stat.Version)); {
		case err == nil, errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNoNode), errors.Is(err, session.ErrUnknown):
		default:
			return m.without(err)
		}
	}
}

func (m *member) facts() task.Facts {
	return task.Facts("").With(factProtocol, Protocol).With(factVersion, m.cfg.Version)
}

// foreign is ErrProtocol, with what /members tells.
func (m *member) foreign(told Told) error {
	line := func(s string) string { return printable.Line(printable.Cut(s, 100)) }
	return fmt.Errorf("%w: this is version %s, which speaks protocol %d; %s says protocol %s, written by version %s: use a version that speaks it",
		ErrProtocol, m.cfg.Version, Protocol, task.MembersDir, line(told.Protocol), line(cmp.Or(told.Version, "unknown")))
}

// register creates the znode of the process, if it may and has none. The error is ErrOver.
func (m *member) register() error {
	if m.registered {
		return nil
	}
	host, _ := os.Hostname() // a text for people
	path := task.MemberPath(task.NewWorkerName(m.cfg.Queue, host, os.Getpid()))
	data := task.Facts("").With(factRole, m.cfg.Role) + " " + m.facts()
	if m.cfg.HTTP != "" {
		data = data.With(factHTTP, m.cfg.HTTP)
	}
	for {
		_, err := m.s.Multi(session.CreateEphemeral(path, []byte(data)))
		switch {
		case err == nil, errors.Is(err, zk.ErrNodeExists): // a call before made it, and its answer was lost: the name is new
			m.registered = true
			return nil
		case errors.Is(err, session.ErrUnknown):
		case errors.Is(err, zk.ErrNoNode):
			if err := m.s.EnsureDirs(task.MembersDir); err != nil {
				return m.without(err)
			}
		default:
			return m.without(err)
		}
	}
}

// without logs why a process is no member, unless the session has, or what a client does fails by the
// same refusal. Its role goes on.
func (m *member) without(err error) error {
	if errors.Is(err, session.ErrOver) {
		return err
	}
	if m.told || session.NoPolicy(err) || m.cfg.Role == Client && session.Refused(err) {
		return nil
	}
	m.told = true
	m.cfg.Logger.Warn("not registered in "+task.MembersDir+", or the protocol there is unknown", "err", err)
	return nil
}
