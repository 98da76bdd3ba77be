package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }

// run starts bench, and returns a function that fails the test if bench has left a file, a
// process, or a znode on an installation.
func run(t *testing.T, bin, installation string, args ...string) (p *harness.Child, leftNothing func()) {
	t.Helper()
	args = append([]string{"bench"}, args...)
	if installation != "" {
		args = append(args, "--zk", installation)
	}
	tmp := t.TempDir()
	p = harness.Run(t, harness.Command{Path: filepath.Join(bin, "lab"), Args: args, Env: []string{"TMPDIR=" + tmp}})
	return p, func() {
		t.Helper()
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("files left: %v %v", left, err)
		}
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			text, _ := os.ReadFile(c) // a process may end meanwhile
			for _, of := range []string{tmp, bin} {
				if strings.Contains(string(text), of) {
					t.Errorf("left running: %q", text)
				}
			}
		}
		if installation == "" {
			return
		}
		if left := zktest.Conn(t, installation).Children("/"); len(left) > 0 {
			t.Errorf("znodes left: %q", left)
		}
	}
}

func TestBench(t *testing.T) {
	bin := harness.Build(t)

	t.Run("measures_on_a_server_of_its_own_and_leaves_nothing", func(t *testing.T) {
		p, leftNothing := run(t, bin, "", "tls", "drain", "commands", "--rounds", "1", "--scale", "0.005")
		<-p.Done()
		p.Exit(0)
		leftNothing()
		out := p.Stdout.String()
		for _, want := range []string{`floor-rate +tasks, batch 1 +[1-9]`, `throughput +tasks +[1-9]`, `processor time a task, server +\d`,
			`tls +tasks( +[0-9,]+ /s){4} +\d+\.\d\d$`, // beside the same without TLS
			`drain +tasks +[1-9]`, `SIGTERM, until the next leader assigns +\d`, `memory of the leader, at most +[1-9]`, `commands +100 × true`,
			`^a server of its own, fsync on; rounds: 1, in .* not meant$`, `processors, load averages \d`} {
			if !regexp.MustCompile("(?m)" + want).MatchString(out) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		for _, other := range []string{"callers", "loss"} {
			if strings.Contains(out, other) {
				t.Errorf("%s, which was not asked for, in\n%s", other, out)
			}
		}
	})
	t.Run("measures_a_running_installation_and_leaves_nothing", func(t *testing.T) {
		root := zktest.Connect(t)
		p, leftNothing := run(t, bin, root, "idle", "loss", "--rounds", "1", "--scale", "0.01", "--session-timeout", "2s", "--json")
		<-p.Done()
		p.Exit(0)
		leftNothing()
		var got outcome
		if err := json.Unmarshal([]byte(p.Stdout.String()), &got); err != nil {
			t.Fatalf("%v in\n%s", err, p.Stdout)
		}
		figures := make(map[string]int)
		for _, l := range got.Lines {
			figures[l.Row]++
			if len(l.Rounds) != 1 || l.What == "" || l.Row == "idle" && l.Value <= 0 {
				t.Errorf("%+v", l)
			}
		}
		if len(figures) != 3 || figures["idle"] != 2 || figures["loss"] != 1 || got.ZooKeeper != root {
			t.Errorf("%v of %s", figures, got.ZooKeeper)
		}
	})
	t.Run("leaves_nothing_after_ctrl_c", func(t *testing.T) {
		p, leftNothing := run(t, bin, zktest.Connect(t), "throughput", "--scale", "0.2")
		p.Line(p.Stderr, "putting ")
		p.Line(p.Stderr, "throughput")
		p.Send(syscall.SIGINT)
		p.Exit(130)
		leftNothing()
		if p.Stdout.String() != "" {
			t.Errorf("stdout %q", p.Stdout)
		}
	})
	t.Run("says_what_cannot_be_measured", func(t *testing.T) {
		alone := t.TempDir()
		if err := os.Link(filepath.Join(bin, "lab"), filepath.Join(alone, "lab")); err != nil {
			t.Fatal(err)
		}
		p, leftNothing := run(t, alone, zktest.Connect(t), "idle", "--scale", "0.01")
		p.Exit(1)
		leftNothing()
		p.Line(p.Stderr, " cannot be measured: master ended with status 127")
	})
	t.Run("refuses_rows_that_it_cannot_measure", func(t *testing.T) {
		p, _ := run(t, bin, "", "speed")
		p.Exit(2)
		p, _ = run(t, bin, "localhost:2181", "tls")
		p.Exit(2)
	})
}
