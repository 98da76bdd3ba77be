package zktest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/identity"
)

const (
	host = "127.0.0.1"

	// heap is the largest Java heap of a server, in MB: many servers may run at once.
	heap = "512"

	// startLimit is long: the tests of several packages may start their JVMs at once, on few
	// processors.
	startLimit = 60 * time.Second

	// askLimit bounds a four-letter word: a paused server accepts a connection and says nothing.
	askLimit = 2 * time.Second
)

// Options configure servers; the zero value means the defaults.
type Options struct {
	// Tick is ZooKeeper's tickTime, 100 ms by default. Sessions may last from
	// two ticks to one minute.
	Tick time.Duration

	// Network has a host for each server: server-1, server-2 and so on. By default
	// all servers run on 127.0.0.1.
	Network *Network

	// TLS makes a server refuse everyone without a certificate. The server has no port
	// without TLS, and keeps an audit log.
	TLS bool

	// FewWords keeps a server with TLS from answering the four-letter words that show
	// sessions and znodes, as a server outside of tests does.
	FewWords bool

	// Flags are more flags for the server's Java, as -Djute.maxbuffer=262144.
	Flags []string
}

// A Server is one ZooKeeper server, standalone or of an Ensemble. One goroutine at a time may
// start, end or pause it; a signal to a server that is down does nothing. The other methods
// may be called from any goroutine.
type Server struct {
	// Fixed at construction.
	command []string // runs the server
	env     []string // beside the environment of this process
	at      Host
	port    int
	dir     string
	ca      *CA // nil without TLS

	*Process // the last one; owned by the goroutine that starts and ends it

	mu     sync.Mutex // guards closed
	closed []string   // chroots that Close has closed
}

// Start starts a server and returns once it serves. The caller must Stop it.
func Start(o Options) (*Server, error) {
	e, err := StartEnsemble(1, o)
	if err != nil {
		return nil, err
	}
	return e.Servers[0], nil
}

// Restart starts the server again on the same port with the same data, after
// Kill or Terminate, and returns once it serves. On an error it is down.
func (s *Server) Restart() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.await()
}

// launch starts the server's process.
func (s *Server) launch() error {
	if s.Alive() {
		return fmt.Errorf("start ZooKeeper on port %d: it is running", s.port)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if s.Process, err = Spawn(cmd, nil); err != nil {
		return fmt.Errorf("start ZooKeeper on port %d: %w", s.port, err)
	}
	return nil
}

// await returns once the server serves.
func (s *Server) await() error {
	limit := time.After(startLimit)
	for !s.serves() {
		var why any
		select {
		case <-s.Done():
			why = s.State()
		case <-limit:
			s.Kill()
			why = fmt.Sprintf("not serving after %v", startLimit)
		case <-time.After(20 * time.Millisecond):
			continue
		}
		return fmt.Errorf("start ZooKeeper on port %d: %v\n%s", s.port, why, s.logTail(20))
	}
	return nil
}

// serves reports whether this very server answers, not another one that took the port.
func (s *Server) serves() bool {
	answer, err := s.Ask("conf")
	return err == nil && strings.Contains(answer, "dataDir="+s.DataDir()+"/version-2\n")
}

// Terminate ends the server by SIGTERM, paused or not, and waits for its end. A server that
// does not end within 10 s is killed.
func (s *Server) Terminate() {
	s.SignalGroup(syscall.SIGTERM)
	s.SignalGroup(syscall.SIGCONT)
	select {
	case <-s.Done():
	case <-time.After(10 * time.Second):
		s.Kill()
	}
}

// Pause freezes the server (SIGSTOP) and returns when all its threads have stopped: its
// port still accepts connections, and nothing answers.
func (s *Server) Pause() {
	s.SignalGroup(syscall.SIGSTOP)
	for unix.Waitid(unix.P_PID, s.Pid(), nil, unix.WSTOPPED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// Resume ends a Pause (SIGCONT). The server then expires the sessions whose
// time ran out meanwhile.
func (s *Server) Resume() { s.SignalGroup(syscall.SIGCONT) }

// FullDisk makes every write of the server to a file fail, as on a full disk, until
// the returned function is called. A server that cannot write its log ends.
func (s *Server) FullDisk() (free func(), err error) {
	limit := func(size uint64) error {
		return unix.Prlimit(s.Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil)
	}
	if err := limit(0); err != nil {
		return nil, fmt.Errorf("fill the disk of ZooKeeper on port %d: %w", s.port, err)
	}
	return func() {
		if s.Alive() {
			_ = limit(unix.RLIM_INFINITY) // fails only when it has just ended
		}
	}, nil
}

// Stop ends the server, if need be, and removes its files.
func (s *Server) Stop() {
	s.Kill()
	servers.Delete(s.Addr())
	os.RemoveAll(s.dir)
}

// Addr is the server's host:port, the same for its whole life.
func (s *Server) Addr() string { return net.JoinHostPort(s.at.Addr, strconv.Itoa(s.port)) }

// DataDir is the folder whose version-2 holds snapshots and transaction logs.
func (s *Server) DataDir() string { return filepath.Join(s.dir, "data") }

func (s *Server) logPath() string { return filepath.Join(s.dir, "log") }

// logTail is the last n lines that the server wrote, over all its restarts.
func (s *Server) logTail(n int) string {
	log, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	lines := slices.Collect(strings.Lines(string(log)))
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// Mode is standalone, leader or follower. It is an error while the server does not serve.
func (s *Server) Mode() (string, error) {
	answer, err := s.Ask("srvr")
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(answer, "Mode: ")
	if !ok {
		return "", fmt.Errorf("%s does not serve: %s", s.Addr(), strings.TrimSpace(answer))
	}
	mode, _, _ := strings.Cut(rest, "\n")
	return mode, nil
}

// Ask sends one of ZooKeeper's four-letter words, as the admin, and returns the answer.
func (s *Server) Ask(word string) (string, error) {
	return ask(s.Addr(), s.Identity("admin"), word)
}

func ask(addr string, who identity.Files, word string) (string, error) {
	conn, err := Dial(addr, who, askLimit)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(askLimit))
	if _, err := io.WriteString(conn, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("ask %s %s: %w", addr, word, err)
	}
	return string(answer), nil
}
