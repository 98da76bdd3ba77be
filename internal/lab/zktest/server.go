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

	// heap is the most memory of a server's Java heap, in MB: many may run at once.
	heap = "512"

	// startLimit is long: several packages' tests may start their JVMs at once
	// on few processors.
	startLimit = 60 * time.Second

	// askLimit bounds a four-letter word: a paused server accepts and says nothing.
	askLimit = 2 * time.Second
)

// Options configure a Server; the zero value means the defaults.
type Options struct {
	// Tick is ZooKeeper's tickTime, 100 ms by default. Sessions may last from
	// two ticks to one minute.
	Tick time.Duration

	// Hosts are where the servers of an ensemble run, one on each; by default
	// all run on 127.0.0.1.
	Hosts []Host

	// TLS has the server take nobody without a certificate, on its only port. It then keeps
	// an audit log as well.
	TLS bool

	// FewWords keeps a server with TLS from answering the four-letter words that tell of
	// sessions and znodes, as it is outside of tests.
	FewWords bool

	// Flags are more flags for the server's Java, as -Djute.maxbuffer=262144.
	Flags []string
}

// A Server is one ZooKeeper server, standalone or of an Ensemble. Its methods
// may be called from several goroutines. Those that signal the process do
// nothing when it is down.
type Server struct {
	// Fixed by Start.
	script   string
	dir      string
	at       Host
	port     int
	tick     time.Duration
	flags    []string
	ca       *CA // nil without TLS
	fewWords bool
	member   []string // what makes it one of an ensemble: arguments of the script

	mu      sync.Mutex // guards the rest
	process *process   // the last one started
	closed  []string   // chroots that Close has closed
}

// Start starts a server and returns once it serves. The caller must Stop it.
func Start(o Options) (*Server, error) {
	script, dir, err := o.place()
	if err != nil {
		return nil, err
	}
	s := &Server{script: script, dir: dir, at: Host{Addr: host}, tick: o.Tick, flags: o.Flags, fewWords: o.FewWords}
	if o.TLS {
		if s.ca, err = certify(dir, nil); err != nil {
			os.RemoveAll(dir)
			return nil, err
		}
	}

	// Another program may take the port between our look and the server's bind.
	for range 3 {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.Restart(); err == nil {
			return s, nil
		}
		if isFree(s.port) {
			break
		}
	}
	os.RemoveAll(dir)
	return nil, err
}

// place completes the options, and returns the script to run and a new folder.
func (o *Options) place() (script, dir string, err error) {
	if o.Tick == 0 {
		o.Tick = 100 * time.Millisecond
	}
	if o.Tick < time.Millisecond {
		return "", "", fmt.Errorf("start ZooKeeper: Tick %v is below 1 ms", o.Tick)
	}
	root, err := Checkout()
	if err != nil {
		return "", "", fmt.Errorf("find scripts/zookeeper: %w", err)
	}
	if dir, err = os.MkdirTemp("", "taskkeeper-zookeeper-"); err != nil {
		return "", "", err
	}
	// A server reports its directory by the real path; see serves.
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return filepath.Join(root, "scripts", "zookeeper"), dir, nil
}

// Restart starts the server again on the same port with the same data, after
// Kill or Terminate, and returns once it serves. On an error it is down.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.launch(); err != nil {
		return err
	}
	return s.await()
}

// launch starts the server.
func (s *Server) launch() error {
	if s.process.alive() {
		return fmt.Errorf("start ZooKeeper on port %d: it is running", s.port)
	}
	p, err := s.spawn()
	if err != nil {
		return fmt.Errorf("start ZooKeeper on port %d: %w", s.port, err)
	}
	if s.ca != nil {
		tlsServers.Store(s.Addr(), s)
	}
	s.process = p
	return nil
}

// await returns once the server serves.
func (s *Server) await() error {
	p := s.process
	limit := time.After(startLimit)
	for !s.serves() {
		select {
		case <-p.done:
			return fmt.Errorf("start ZooKeeper on port %d: %v\n%s", s.port, p.cmd.ProcessState, s.LogTail(20))
		case <-limit:
			p.end(syscall.SIGKILL)
			return fmt.Errorf("start ZooKeeper on port %d: not serving after %v\n%s", s.port, startLimit, s.LogTail(20))
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (s *Server) spawn() (*process, error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	args := []string{s.script, "run", "--no-install", "--keep-logs", "--heap", heap, "--tick", strconv.FormatInt(s.tick.Milliseconds(), 10)}
	if s.member != nil {
		args = append(args, s.member...)
	} else {
		args = append(args, "--port", strconv.Itoa(s.port), "--dir", s.dir)
	}
	flags := s.flags
	if s.ca != nil {
		args = slices.Insert(args, 2, "--tls")
		if !s.fewWords {
			args = slices.Insert(args, 2, "--all-words") // N, of an ensemble's server, is the last
		}
		flags = append([]string{"-Dzookeeper.audit.enable=true"}, flags...) // which they may take back
	}
	args = append(slices.Clone(s.at.Within), args...)
	cmd := exec.Command(args[0], args[1:]...)
	if len(flags) > 0 {
		cmd.Env = append(os.Environ(), "SERVER_JVMFLAGS="+strings.Join(flags, " "))
	}
	cmd.Stdout = log
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // a Ctrl-C in the terminal is not for the server
		Pdeathsig: syscall.SIGKILL, // no orphans, even after a test's time-out
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process; end waits for it
		defer close(p.done)
		cmd.Wait()
	}()
	return p, nil
}

// serves tells whether this very server, not another one that took the port,
// answers requests.
func (s *Server) serves() bool {
	answer, err := s.Ask("conf")
	return err == nil && strings.Contains(answer, "dataDir="+s.DataDir()+"/version-2\n")
}

// Kill ends the server by SIGKILL and waits for its end.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.end(syscall.SIGKILL)
}

// Terminate ends the server by SIGTERM, paused or not, and waits for its end.
func (s *Server) Terminate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.end(syscall.SIGTERM, syscall.SIGCONT)
}

// Pause freezes the server (SIGSTOP) and waits until all of it stands still: its
// port still accepts connections, and nothing answers.
func (s *Server) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.signal(syscall.SIGSTOP)
	for s.process.alive() && !s.process.stopped() {
		time.Sleep(time.Millisecond)
	}
}

// Resume ends a Pause (SIGCONT). The server then expires the sessions whose
// time ran out meanwhile.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.signal(syscall.SIGCONT)
}

// FullDisk makes every write of the server to a file fail, as on a full disk, until
// the function that it returns is called. A server that writes its log ends by that.
func (s *Server) FullDisk() (free func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.process.alive() {
		return nil, fmt.Errorf("fill the disk of ZooKeeper on port %d: it is down", s.port)
	}
	p := s.process
	var was unix.Rlimit
	set := func(size uint64) error {
		return unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: was.Max}, nil)
	}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &was); err != nil {
		return nil, err
	}
	if err := set(0); err != nil {
		return nil, err
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.alive() {
			_ = set(was.Cur) // fails only when it has just ended
		}
	}, nil
}

// Alive tells whether the server's process runs.
func (s *Server) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.alive()
}

// Pid is the server's process, or the last one that it had.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.cmd.Process.Pid
}

// Wipe removes the data of a server that is down.
func (s *Server) Wipe() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.alive() {
		return fmt.Errorf("wipe ZooKeeper on port %d: it is running", s.port)
	}
	return os.RemoveAll(s.DataDir())
}

// Stop ends the server, if need be, and removes its files.
func (s *Server) Stop() {
	s.Kill()
	tlsServers.Delete(s.Addr())
	os.RemoveAll(s.dir)
}

// Addr is the server's host:port, the same for its whole life.
func (s *Server) Addr() string { return net.JoinHostPort(s.at.Addr, strconv.Itoa(s.port)) }

// DataDir is the folder whose version-2 holds snapshots and transaction logs.
func (s *Server) DataDir() string { return filepath.Join(s.dir, "data") }

// LogTail is the last n lines of what the server said, over all its restarts.
func (s *Server) LogTail(n int) string {
	log, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(log), "\n")
	return strings.Join(lines[max(0, len(lines)-n-1):], "")
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "log") }

// Srvr is the server's answer to srvr: mode, zxid, connections and more.
func (s *Server) Srvr() (string, error) { return s.Ask("srvr") }

// Ask sends one of ZooKeeper's four-letter words and returns the answer.
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
