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

// run starts bench with files of its own, and returns what sees to it that
// nothing of it is left.
func run(t *testing.T, bin string, args ...string) (p *harness.Child, gone func()) {
	t.Helper()
	tmp := t.TempDir()
	p = harness.Run(t, harness.Command{Path: filepath.Join(bin, "lab"), Args: append([]string{"bench"}, args...), Env: []string{"TMPDIR=" + tmp}})
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
	}
}

func TestBench(t *testing.T) {
	bin := harness.Build(t)

	t.Run("measures_on_a_server_of_its_own_and_leaves_nothing", func(t *testing.T) {
		p, gone := run(t, bin, "idle", "throughput", "tls", "page", "takeover", "drain", "commands", "--rounds", "1", "--scale", "0.005")
		<-p.Done()
		p.Exit(0)
		gone()
		out := p.Stdout.String()
		for _, want := range []string{"floor-latency  submission", "idle ", "floor-rate ", "throughput ", "page ", "takeover ", "steady ", "drain ", "commands ",
			"processor time a task, server",
			"a server of its own, fsync on; 1 round in", "not meant", "load averages"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		for _, what := range []string{"tls +submission to result, p50", " +tasks"} {
			if !regexp.MustCompile(`(?m)^` + what + `( +[0-9,.]+ (ms|/s)){4} +\d+\.\d\d$`).MatchString(out) {
				t.Errorf("no %q beside the same without TLS in\n%s", what, out)
			}
		}
		if strings.Contains(out, "mixed") {
			t.Errorf("more than was asked for:\n%s", out)
		}
	})
	t.Run("measures_a_running_installation_and_leaves_nothing", func(t *testing.T) {
		root := zktest.Connect(t)
		p, gone := run(t, bin, "idle", "loss", "mixed", "--rounds", "1", "--scale", "0.01", "--zk", root, "--session-timeout", "2s", "--json")
		<-p.Done()
		p.Exit(0)
		gone()
		var got outcome
		if err := json.Unmarshal([]byte(p.Stdout.String()), &got); err != nil {
			t.Fatalf("%v in\n%s", err, p.Stdout)
		}
		rows := make(map[string]int)
		for _, l := range got.Lines {
			rows[l.Row]++
			if len(l.Rounds) != 1 || l.What == "" || l.Row == "idle" && l.Value <= 0 {
				t.Errorf("%+v", l)
			}
		}
		if len(rows) != 4 || rows["idle"] != 3 || rows["loss"] != 2 || got.ZooKeeper != root {
			t.Errorf("%v of %s", rows, got.ZooKeeper)
		}
		if left := zktest.Conn(t, root).Children("/"); len(left) > 0 {
			t.Errorf("znodes left: %q", left)
		}
	})
	t.Run("leaves_nothing_after_ctrl_c", func(t *testing.T) {
		root := zktest.Connect(t)
		p, gone := run(t, bin, "throughput", "drain", "--scale", "0.2", "--zk", root)
		p.Line(p.Stderr, "putting ")
		p.Line(p.Stderr, "throughput")
		p.Send(syscall.SIGINT)
		p.Exit(130)
		gone()
		if left := zktest.Conn(t, root).Children("/"); len(left) > 0 {
			t.Errorf("znodes left: %q", left)
		}
		if p.Stdout.String() != "" {
			t.Errorf("stdout %q", p.Stdout)
		}
	})
	t.Run("says_what_cannot_be_measured", func(t *testing.T) {
		alone := t.TempDir()
		if err := os.Link(filepath.Join(bin, "lab"), filepath.Join(alone, "lab")); err != nil {
			t.Fatal(err)
		}
		root := zktest.Connect(t)
		p, gone := run(t, alone, "idle", "--scale", "0.01", "--zk", root)
		p.Exit(1)
		gone()
		p.Line(p.Stderr, "cannot be measured: master ended with status 127")
		if left := zktest.Conn(t, root).Children("/"); len(left) > 0 {
			t.Errorf("znodes left: %q", left)
		}
	})
	t.Run("lists_and_knows_its_rows", func(t *testing.T) {
		p, _ := run(t, bin, "--list")
		p.Exit(0)
		if got := len(p.Stdout.Lines()); got != len(rows()) {
			t.Errorf("%d rows", got)
		}
		for _, args := range [][]string{{"speed"}, {"tls", "--zk", "localhost:2181"}} {
			p, _ = run(t, bin, args...)
			p.Exit(2)
		}
	})
}
