package cmdtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/command"
	"taskkeeper/internal/lab/harness"
)

// unit is a unit file of systemd: all values of each key, whatever the section.
type unit map[string][]string

func readUnit(t *testing.T, path string) unit {
	t.Helper()
	text := readFile(t, path)
	u := unit{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

// seconds parses a time span of systemd: "60s", or a number of seconds.
func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSuffix(text, "s"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Second
}

// installedUnits returns a folder with the units that make install would install for programs there.
func installedUnits(t *testing.T, programs string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"taskkeeper-master.service", "taskkeeper-worker@.service"} {
		text := readFile(t, "../../../scripts/systemd/"+name)
		writeFile(t, filepath.Join(dir, name), strings.ReplaceAll(text, "/usr/local/bin", programs))
	}
	return dir
}

func TestUnits(t *testing.T) {
	t.Parallel()
	start := newService(t)
	programs := installed(t)
	dir := installedUnits(t, programs)
	master, worker := readUnit(t, filepath.Join(dir, "taskkeeper-master.service")), readUnit(t, filepath.Join(dir, "taskkeeper-worker@.service"))

	t.Run("are_what_systemd_understands", func(t *testing.T) {
		verify := exec.Command("systemd-analyze", "verify", "--man=no", "./taskkeeper-master.service", "./taskkeeper-worker@.service")
		verify.Dir = dir
		// Its exit status is 0 also where it ignores what it does not understand.
		if out, err := verify.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze (apt-get install systemd): %v\n%s", err, out)
		}
	})
	t.Run("have_a_user_for_the_worker_and_another_for_the_master", func(t *testing.T) {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		conf, err := filepath.Abs("../../../scripts/systemd/sysusers.conf")
		if err != nil {
			t.Fatal(err)
		}
		runIn(t, root, nil, "systemd-sysusers", "--root="+root, conf)
		passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
		users := "\n" + string(passwd)
		if user := worker["User"][0]; err != nil || !strings.Contains(users, "\n"+user+":") || !strings.Contains(users, ":/var/lib/"+worker["StateDirectory"][0]+":") {
			t.Errorf("user %s: %v, %s", user, err, passwd)
		}
		if user := master["User"][0]; user == worker["User"][0] || !strings.Contains(users, "\n"+user+":") {
			t.Errorf("user %s: %s", user, passwd)
		}
	})
	t.Run("give_programs_time_enough_to_end", func(t *testing.T) {
		const leave = 30 * time.Second // what a role has at most if ZooKeeper does not answer
		_, drain, _ := strings.Cut(worker["ExecStart"][0], " --drain ")
		drain, _, _ = strings.Cut(drain, " ")
		for name, least := range map[string]time.Duration{"master": leave, "worker": leave + seconds(t, drain) + 2*time.Second} {
			u := map[string]unit{"master": master, "worker": worker}[name]
			if stop := seconds(t, u["TimeoutStopSec"][0]); stop < least+5*time.Second {
				t.Errorf("%s: TimeoutStopSec=%s, and it may need %s", name, stop, least)
			}
			if got := fmt.Sprint(u["Type"], u["KillMode"], u["Restart"], u["RestartSec"], u["StartLimitIntervalSec"]); got != "[notify] [mixed] [always] [5] [0]" {
				t.Errorf("%s: %s", name, got)
			}
		}
	})
	t.Run("allow_a_worker_all_the_files_of_all_its_slots", func(t *testing.T) {
		_, hard, _ := strings.Cut(worker["LimitNOFILE"][0], ":")
		if n, err := strconv.Atoi(hard); err != nil || n < 10_000*(command.Files+1) {
			t.Errorf("LimitNOFILE=%s", worker["LimitNOFILE"])
		}
	})

	// launch does what systemd does at the start and at the stop of a unit.
	launch := func(t *testing.T, u unit, env ...string) (*manager, *harness.Child) {
		t.Helper()
		m := newManager(t, filepath.Join(t.TempDir(), "notify"))
		var words []string
		for _, word := range strings.Fields(u["ExecStart"][0]) {
			if name, ok := strings.CutPrefix(word, "$"); ok { // its value is split, and its quotes are respected
				for _, v := range env {
					if value, ok := strings.CutPrefix(v, name+"="); ok {
						split, err := command.Split(value)
						if err != nil {
							t.Fatal(err)
						}
						words = append(words, split...)
					}
				}
				continue
			}
			words = append(words, word)
		}
		c := harness.Run(t, harness.Command{Path: words[0], Args: words[1:], Env: slices.Concat(env, m.env(), []string{"INVOCATION_ID=0437058ccabd49e0b5611a5e0b0d5c4e"})})
		m.receives("READY=1")
		return m, c
	}
	stop := func(t *testing.T, u unit, m *manager, c *harness.Child) {
		t.Helper()
		asked := time.Now()
		c.Send(syscall.SIGTERM) // KillMode=mixed: to the main process
		m.receives("STOPPING=1")
		c.Exit(0)
		if took := time.Since(asked); took > seconds(t, u["TimeoutStopSec"][0]) {
			t.Errorf("it took %s to end", took)
		}
	}
	t.Run("start_and_stop_a_master_and_a_worker_which_finishes_its_task", func(t *testing.T) {
		svc := start(t)
		zk := "ZK_SERVERS=" + svc.root
		mm, m := launch(t, master, zk, "MASTER_ARGS=--retention 1h")
		wm, w := launch(t, worker, zk, `WORKER_ARGS=--slots 2 --shell --exec 'echo up >&2; sleep 1; echo "$1" done'`)
		if n := len(svc.manual.Children("/workers")); n != 2 {
			t.Errorf("%d slots", n)
		}
		c := svc.start("client", "run", "it is")
		w.Line(w.Stderr, "task started")
		stop(t, worker, wm, w)
		c.Exit(0)
		if got := c.Stdout.String(); got != "it is done" {
			t.Errorf("stdout %q", got)
		}
		stop(t, master, mm, m)
	})
	t.Run("start_without_any_argument", func(t *testing.T) {
		svc := start(t)
		for _, u := range []unit{master, worker} {
			m, c := launch(t, u, "ZK_SERVERS="+svc.root)
			stop(t, u, m, c)
		}
	})
	t.Run("come_with_examples_that_the_programs_accept", func(t *testing.T) {
		for _, name := range []string{"taskkeeper.env", "master.env", "worker.env"} {
			text := readFile(t, "../../../scripts/systemd/"+name)
			found := 0
			for line := range strings.Lines(text) {
				key, value, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#")), "=")
				program, isArgs := strings.CutSuffix(key, "_ARGS")
				if !ok || !isArgs && key != "ZK_SERVERS" {
					continue
				}
				found++
				args := []string{"--zk", value, "--help"}
				if isArgs {
					var err error
					if args, err = command.Split(value + " --help"); err != nil {
						t.Fatal(err)
					}
				} else {
					program = "client"
				}
				c := harness.Run(t, harness.Command{Path: filepath.Join(programs, "taskkeeper-"+strings.ToLower(program)), Args: args})
				c.Exit(0)
			}
			if found == 0 {
				t.Errorf("%s has no example", name)
			}
		}
	})
}
