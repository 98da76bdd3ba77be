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

// Keys of the facts in a znode.
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
	HTTP    string // its address, host:port; "": it serves no HTTP
	Logger  *slog.Logger
}

// Told is the content of a member's znode, or of /members itself.
type Told struct {
	Role     string // of a member
	Protocol string // a number, unless a person wrote something else
	Version  string // of the program that wrote it; "": unknown
	HTTP     string // of a member: its address
}

// Parse reads a znode's data.
func Parse(data []byte) Told {
	facts := task.Facts(bytes.TrimSpace(data[:min(len(data), task.MaxFacts)]))
	return Told{
		Role: facts.Get(factRole), Protocol: cmp.Or(facts.Get(factProtocol), "1"), Version: facts.Get(factVersion), HTTP: facts.Get(factHTTP),
	}
}

// Within returns a role that runs as a member. The role fails with ErrProtocol, at the start or
// later, if the installation speaks another protocol than this program.
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

	registered bool // or it needs no znode
	logged     bool // why it is not registered
}

// watch reads the protocol and the policy again whenever they may have changed: the session ends
// if the policy takes its role away. A process that could not register tries again.
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
			_, _ = m.s.Policy() // an error is logged there
		}
	}
}

// check reads the protocol of the installation. A master writes it if there is none.
func (m *member) check() error {
	for {
		get := m.s.GetW
		if m.watched {
			get = m.s.Get
		}
		data, stat, err := get(task.MembersDir)
		switch {
		case errors.Is(err, zk.ErrNoNode) && m.cfg.Role == Client:
			return nil // nothing exists yet, or any more
		case errors.Is(err, zk.ErrNoNode):
			m.registered = false // its znode was deleted with /members
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

// foreign is ErrProtocol, with the content of /members.
func (m *member) foreign(told Told) error {
	line := func(s string) string { return printable.Line(printable.Cut(s, 100)) }
	return fmt.Errorf("%w: this is version %s, which speaks protocol %d; %s says protocol %s, written by version %s: use a version that speaks it",
		ErrProtocol, m.cfg.Version, Protocol, task.MembersDir, line(told.Protocol), line(cmp.Or(told.Version, "unknown")))
}

// register creates the znode of the process, if it may and has none. Its only error is
// session.ErrOver.
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
		case err == nil, errors.Is(err, zk.ErrNodeExists): // an earlier call created it, and its answer was lost: nobody else has this name
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

// without logs why a process is no member, and its role goes on. It does not log an error that the
// session has logged, or one that a client's own calls will meet as well.
func (m *member) without(err error) error {
	if errors.Is(err, session.ErrOver) {
		return err
	}
	if m.logged || session.NoPolicy(err) || m.cfg.Role == Client && session.Refused(err) {
		return nil
	}
	m.logged = true
	m.cfg.Logger.Warn("not registered in "+task.MembersDir+", or the protocol there is unknown", "err", err)
	return nil
}
