package cmdtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// workerOn starts a worker whose machine seems to have another name.
func (svc *service) workerOn(host string, args ...string) *harness.Child {
	svc.t.Helper()
	command := append([]string{"--uts", "--", "sh", "-c", `hostname "$0" && exec "$@"`, host, filepath.Join(svc.dir, "worker")}, svc.with(args)...)
	if os.Getuid() != 0 {
		command = append([]string{"--map-root-user"}, command...)
	}
	p := harness.Run(svc.t, harness.Command{Path: "unshare", Args: command})
	p.Line(p.Stderr, "registered")
	return p
}

// execution is an object that `client run --json` prints.
type execution struct {
	State string    `json:"state"`
	Host  string    `json:"host"`
	Began time.Time `json:"began"`
}

// ran returns what client run --json printed. All tasks must be done.
func ran(t *testing.T, c *harness.Child, tasks int) (all []execution) {
	t.Helper()
	c.Exit(0)
	for _, line := range c.Stdout.Lines() {
		var x execution
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.State != "done" || x.Host == "" || x.Began.IsZero() {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, x)
	}
	if len(all) != tasks {
		t.Errorf("%d tasks, want %d", len(all), tasks)
	}
	return all
}

func TestDrainedMachineTakesNoTaskUntilItIsUndrained(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	svc.master()
	workers := map[string]*harness.Child{"alpha": svc.workerOn("alpha", "--slots", "2"), "beta": svc.workerOn("beta", "--slots", "2")}
	nap := func(tasks int) *harness.Child { return svc.run(strings.Repeat("0.1\n", tasks), "--json") }

	long, _ := svc.says(0, "submit", "8")
	var host string
	zktest.Eventually(t, "it is executed", func() (bool, string) {
		lists := make(map[string]string)
		for _, w := range svc.manual.Children("/workers") {
			lists[w], _ = svc.manual.Get("/workers/" + w)
			if lists[w] == long {
				host, _, _ = strings.Cut(w, ":")
			}
		}
		return host != "", fmt.Sprint(lists)
	})
	const many = 300 // more than the others do meanwhile
	load := nap(many)
	load.Line(load.Stdout, `"host":"`+host+`"`)

	drain := svc.start("client", "drain", host, "--wait")
	eventually(t, "it is draining", func() (bool, string) {
		out, _ := svc.says(0, "status")
		return strings.Contains(out, "\ndrain     "+host+", for ") && strings.Contains(out, ": draining, "), out
	})
	if state, _ := svc.manual.Get("/tasks/" + long); state != "pending" || drain.Stdout.String() != "" {
		t.Errorf("the long task is %q, drain says %q", state, drain.Stdout)
	}
	drain.Exit(0)
	drained := time.Now()
	if state, _ := svc.manual.Get("/tasks/" + long); !strings.HasPrefix(state, "done") || drain.Stdout.String() != host+": drained" {
		t.Errorf("the long task is %q, drain says %q", state, drain.Stdout)
	}
	select {
	case <-load.Done():
		t.Error("nothing was left to do after that")
	default:
	}
	for _, x := range ran(t, load, many) {
		if x.Host == host && x.Began.After(drained) {
			t.Errorf("a task was begun there %s after that", x.Began.Sub(drained))
		}
	}
	elsewhere := func() {
		t.Helper()
		for _, x := range ran(t, nap(20), 20) {
			if x.Host == host {
				t.Fatalf("a task was begun on %s", host)
			}
		}
		s := svc.status()
		for _, w := range s.Workers.List {
			if gone := w.Host == host; w.Draining != gone || w.Drained != gone {
				t.Errorf("worker %+v", w)
			}
		}
		if len(s.Drains) != 1 || s.Drains[0].Name != host || !s.Drains[0].Drained || s.Drains[0].Workers != 2 || s.Drains[0].Busy != 0 {
			t.Errorf("drains %+v", s.Drains)
		}
	}
	elsewhere()
	out, _ := svc.says(0, "status", "--json", "--host", host+",gamma", "--queue", "-")
	if s := svc.parse(out); s.Workers.Total != 2 || s.Workers.List[0].Host != host || s.Workers.List[1].Host != host ||
		len(s.Warnings) != 1 || s.Warnings[0].Text != "no worker of host gamma is registered" {
		t.Errorf("of %s: %s", host, out)
	}

	workers[host].Send(syscall.SIGTERM)
	workers[host].Exit(0)
	again := svc.workerOn(host, "--slots", "2")
	elsewhere()

	svc.nothingWrong()
	if out, _ := svc.says(0, "undrain", host); out != host+": takes tasks again" {
		t.Errorf("undrain says %q", out)
	}
	ran(t, nap(40), 40)
	again.Line(again.Stderr, "task started")
	if s := svc.status(); len(s.Drains) != 0 || s.Workers.Draining != 0 {
		t.Errorf("status %+v", s)
	}
	if out, _ := svc.says(0, "wait", long); out != "0" {
		t.Errorf("the long task's result is %q", out)
	}
	svc.empty()
}
