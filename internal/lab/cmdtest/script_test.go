package cmdtest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// project is a folder with scripts of the project alone. Servers that they start end with the test.
type project struct {
	t   *testing.T
	dir string
	env []string // of what is run there, beside the test's
}

func newProject(t *testing.T, scripts ...string) *project {
	t.Helper()
	zktest.OpenOnly(t, "its servers are those that scripts/zookeeper starts")
	p := &project{t: t, dir: t.TempDir()}
	p.setenv("SERVER_JVMFLAGS", "-XX:TieredStopAtLevel=1") // its servers live for seconds
	for _, name := range scripts {
		p.write("scripts/"+name, readFile(t, "../../../scripts/"+name), 0o755)
	}
	return p
}

func (p *project) write(name, text string, mode os.FileMode) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

// setenv sets a variable for what is run from now on.
func (p *project) setenv(name, value string) { p.env = append(p.env, name+"="+value) }

// run starts one of the scripts.
func (p *project) run(script string, args ...string) *harness.Child {
	p.t.Helper()
	return harness.Run(p.t, harness.Command{Path: filepath.Join(p.dir, "scripts", script), Args: args, Env: p.env})
}

// zookeeper runs scripts/zookeeper, and fails unless its status is this one and its output matches.
func (p *project) zookeeper(status int, want string, args ...string) {
	p.t.Helper()
	p.said(p.run("zookeeper", args...), status, want)
}

// said fails unless a process ends with a status and its output matches.
func (p *project) said(c *harness.Child, status int, want string) {
	p.t.Helper()
	c.Exit(status)
	said := c.Stdout.String() + "\n" + c.Stderr.String()
	if !regexp.MustCompile(want).MatchString(said) {
		p.t.Errorf("%s said\n%s\nwant %s", c, said, want)
	}
}

// eventually runs scripts/zookeeper until its standard output matches.
func (p *project) eventually(what, want string, args ...string) {
	p.t.Helper()
	eventually(p.t, what, func() (bool, string) {
		c := p.run("zookeeper", args...)
		<-c.Done()
		return regexp.MustCompile(want).MatchString(c.Stdout.String()), c.Stdout.String()
	})
}

// start starts a server, which is stopped when the test ends.
func (p *project) start(args ...string) {
	p.t.Helper()
	p.t.Cleanup(func() { p.stop(args...) })
	p.zookeeper(0, `127\.0\.0\.1:\d+\nheap: the server may use up to \d+ MB of memory \(another limit: --heap MB\)`, append([]string{"start", "--no-install", "--heap", "128"}, args...)...)
}

// stop stops a server, when the test's context has ended.
func (p *project) stop(args ...string) {
	stop := exec.Command(filepath.Join(p.dir, "scripts/zookeeper"), append([]string{"stop"}, args...)...)
	stop.Env = append(os.Environ(), p.env...)
	if out, err := stop.CombinedOutput(); err != nil {
		p.t.Errorf("%s: %v\n%s", stop, err, out)
	}
}

// freePort returns a port that nobody listens on and that the system gives to no client.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := fmt.Sprint(10_000 + rand.IntN(20_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

func TestZooKeeperScript(t *testing.T) {
	t.Parallel()
	t.Run("takes_the_only_server_that_runs", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper"), freePort(t)
		p.zookeeper(3, `^not running`, "status")
		p.start("--port", port)
		p.zookeeper(0, `^running: pid \d+, 127\.0\.0\.1:`+port, "status")
		p.zookeeper(0, `already running: 127\.0\.0\.1:`+port, "start", "--no-install", "--port", port)
		addr := "127.0.0.1:" + port
		p.zookeeper(0, `^`+addr+` +standalone +zxid 0x\w+ +connections \d+\n$`, "status", "--zk", addr)
		p.zookeeper(0, `^\[config, quota\]\n$`, "shell", "--zk", addr+"/zookeeper", "ls", "/")
		p.zookeeper(1, `--zk is for shell and status`, "stop", "--zk", addr)
		p.zookeeper(0, `^paused: 127\.0\.0\.1:`+port, "pause")
		p.zookeeper(1, `but it does not answer`, "status")
		p.zookeeper(0, `^resumed: 127\.0\.0\.1:`+port, "resume")
		p.zookeeper(0, `^stopped: 127\.0\.0\.1:`+port, "stop")
		p.zookeeper(0, `^not running: 127\.0\.0\.1:2181\n`, "stop")
	})
	t.Run("asks_which_of_several_servers_is_meant", func(t *testing.T) {
		t.Parallel()
		p, one, two := newProject(t, "zookeeper"), freePort(t), freePort(t)
		p.start("--port", one)
		p.start("--port", two)
		p.zookeeper(0, `(?s)^running: .*running: `, "status")
		list := `several servers run, choose one: --port (` + one + ` --port ` + two + `|` + two + ` --port ` + one + `)`
		p.zookeeper(1, list, "stop")
		p.zookeeper(1, list, "pause")
		p.zookeeper(0, `^stopped: 127\.0\.0\.1:`+one, "stop", "--port", one)
		p.zookeeper(0, `^running: pid \d+, 127\.0\.0\.1:`+two, "status")
	})
	t.Run("finds_an_ensemble_and_a_server_whose_files_are_gone", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper"), freePort(t)
		p.start("--port", port)
		if err := os.RemoveAll(filepath.Join(p.dir, ".zk", port)); err != nil {
			t.Fatal(err)
		}
		p.zookeeper(0, `already running: 127\.0\.0\.1:`+port, "start", "--no-install", "--port", port)
		p.zookeeper(0, `^stopped: 127\.0\.0\.1:`+port, "stop", "--port", port)
		p.zookeeper(0, `127\.0\.0\.1:\d+,127`, "start", "--no-install", "--heap", "128", "--servers", "3", "--port", port)
		t.Cleanup(func() { p.stop("--port", port) })
		p.zookeeper(0, `(?s)^1 .*\n2 .*\n3 `, "status")
		p.zookeeper(0, `^stopped: `, "stop", "2")
		p.eventually("server 2 is down, and the others have a leader", ` leader `, "status")
		p.zookeeper(0, `2 +127\.0\.0\.1:\d+ +down`, "status")
		p.zookeeper(0, `^stopped: \S+\nnot running: 127\.0\.0\.1:\d+\nstopped: `, "stop")
		p.zookeeper(0, `^started: \S+; it serves when more than half of the ensemble's 3 servers run`, "start", "--no-install", "--heap", "128", "2")
		p.write(".zk/7/server-1/zoo.cfg", "clientPort=7\n", 0o600) // another one, which does not run
		p.zookeeper(0, `^stopped: `, "stop", "2")
		p.zookeeper(1, `there are several ensembles, choose one:( --port (7|`+port+`)){2}$`, "start", "--no-install", "2")
	})
	t.Run("says_that_none_runs", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper"), freePort(t)
		p.zookeeper(1, `^\nscripts/zookeeper: no ZooKeeper on 127\.0\.0\.1:`+port+`; run: scripts/zookeeper start --tls$`, "shell", "--port", port, "--as", "viewer", "ls", "/")
		p.zookeeper(1, `there is no server 2: no ensemble in `+p.dir+`/.zk; run: scripts/zookeeper start --servers 3$`, "start", "2")
	})
	t.Run("does_not_count_a_read_only_server_as_serving", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper"), freePort(t)
		p.setenv("SERVER_JVMFLAGS", "-Dreadonlymode.enabled=true")
		p.zookeeper(0, `127\.0\.0\.1:\d+,127`, "start", "--no-install", "--heap", "128", "--tick", "300", "--servers", "3", "--port", port)
		t.Cleanup(func() { p.stop("--port", port) })
		p.zookeeper(0, `^stopped: `, "stop", "--port", port, "1")
		p.zookeeper(0, `^stopped: `, "stop", "--port", port, "2")
		p.eventually("server 3 is read-only", ` read-only `, "status", "--port", port)
		p.zookeeper(1, `3 +127\.0\.0\.1:\d+ +read-only `, "status", "--port", port)
		p.zookeeper(1, `(?s)^running: .*Mode: read-only\n.*but it is read-only`, "status", "--dir", filepath.Join(p.dir, ".zk", port, "server-3"))
	})
	t.Run("says_who_has_the_port", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper"), freePort(t)
		p.start("--port", port)
		own := `port ` + port + ` is taken by the ZooKeeper server of ` + regexp.QuoteMeta(filepath.Join(p.dir, ".zk", port))
		other := filepath.Join(p.dir, "other")
		p.zookeeper(1, own+`; stop it: scripts/zookeeper stop; or choose another port with --port`, "start", "--no-install", "--port", port, "--dir", other)
		p.zookeeper(3, `not running \(`+own, "status", "--port", port, "--dir", other)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, foreign, _ := net.SplitHostPort(l.Addr().String())
		p.zookeeper(3, `not running \(port `+foreign+` is taken by another program\)`, "status", "--port", foreign)
		p.zookeeper(1, `port `+foreign+` is taken by another program; choose another port with --port`, "start", "--no-install", "--port", foreign)
	})
	t.Run("shows_a_failed_start_without_stack_frames", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper"), freePort(t)
		p.write(".zk/other/data/version-2", "no folder", 0o600)
		c := p.run("zookeeper", "start", "--no-install", "--port", port, "--dir", filepath.Join(p.dir, ".zk/other"))
		c.Exit(1)
		said := c.Stderr.Lines()
		if got := strings.Join(said, "\n"); len(said) > 9 || strings.Contains(got, "\tat ") || !strings.Contains(got, "/data/version-2") ||
			!strings.HasSuffix(got, " A busy machine may need another try.") {
			t.Errorf("said %s", got)
		}
	})
	t.Run("runs_no_command_from_a_configuration", func(t *testing.T) {
		t.Parallel()
		p := newProject(t, "zookeeper")
		p.env = []string{"JAVA_HOME=/nonexistent", "NO_INSTALL=1"} // start ends there
		evil := "clientPort=RANDOM[$(touch " + p.dir + "/ran)]\n"
		p.write("evil/zoo.cfg", evil, 0o600)
		p.write("evil/server-1/zoo.cfg", evil, 0o600)
		for _, verb := range []string{"stop", "status", "pause", "resume", "start"} {
			for _, n := range [][]string{nil, {"1"}} {
				<-p.run("zookeeper", append([]string{verb, "--dir", filepath.Join(p.dir, "evil")}, n...)...).Done()
			}
		}
		if _, err := os.Stat(filepath.Join(p.dir, "ran")); err == nil {
			t.Error("it ran a command from zoo.cfg")
		}
	})
	t.Run("refuses_a_folder_that_others_may_write_to", func(t *testing.T) {
		t.Parallel()
		p := newProject(t, "zookeeper")
		foreign := "/etc"
		if os.Geteuid() == 0 {
			foreign = t.TempDir()
			if err := os.Chown(foreign, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
		open := t.TempDir()
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"start", "stop", "status"} {
			p.zookeeper(1, foreign+` belongs to \S+: choose a --dir of your own`, verb, "--dir", foreign)
			p.zookeeper(1, `others may write to `+open+`: `, verb, "--dir", open)
		}
	})
	t.Run("keeps_its_files_to_itself", func(t *testing.T) {
		t.Parallel()
		p := newProject(t, "zookeeper")
		defer syscall.Umask(syscall.Umask(0o022))
		p.start("--port", freePort(t))
		err := filepath.WalkDir(filepath.Join(p.dir, ".zk"), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("explains_itself", func(t *testing.T) {
		t.Parallel()
		p := newProject(t, "zookeeper")
		for _, args := range [][]string{{"--help"}, {"start", "--help"}, nil} {
			p.zookeeper(0, `^usage: scripts/zookeeper VERB(.|\n)*--heap MB`, args...)
		}
		for _, args := range [][]string{{"foo"}, {"foo", "bar"}, {"foo", "--port", "1"}} {
			p.zookeeper(2, `^\nscripts/zookeeper: unknown verb 'foo' \(see --help\)$`, args...)
		}
		p.zookeeper(1, `--heap wants a number from 1 to 999999, not '1g'`, "start", "--heap", "1g")
	})
}

// A server without memory must neither go on half alive nor end with status 0.
func TestAServerWithoutMemoryEndsWithAStatus(t *testing.T) {
	t.Parallel()
	p, port := newProject(t, "zookeeper"), freePort(t)
	c := p.run("zookeeper", "run", "--no-install", "--heap", "64", "--port", port, "--dir", filepath.Join(p.dir, "zk"))
	zktest.Eventually(t, "it serves", func() (bool, string) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil, fmt.Sprint(err)
	})
	svc := &service{t: t, dir: harness.Build(t), root: "127.0.0.1:" + port, timeout: "4s"}
	svc.run(strings.Repeat(strings.Repeat("x", 800_000)+"\n", 100))
	c.Exit(3)
}

func TestScenarioScriptWritesNoEvidenceUnasked(t *testing.T) {
	t.Parallel()
	p := newProject(t, "scenario")
	p.write("bin/lab", "#!/bin/sh\necho \"$@\"\n", 0o755)
	p.write("Makefile", "lab zookeeper:\n", 0o644)
	c := p.run("scenario", "1-worker-fails")
	c.Exit(0)
	if got := c.Stdout.String(); got != "scenario 1-worker-fails" {
		t.Errorf("it ran scenario %s", got)
	}
}
