package cmdtest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// watched is a program that serves HTTP.
type watched struct {
	*harness.Child
	t    *testing.T
	host string // and port
}

// watched starts a program with --http, at a port of the system's choice.
func (svc *service) watched(program string, args ...string) watched {
	svc.t.Helper()
	p := svc.start(program, append([]string{"--http", "0"}, args...)...)
	host := strings.TrimSuffix(strings.TrimPrefix(pageOf(p), "http://"), "/")
	p.Line(p.Stderr, map[string]string{"master": "candidate=", "worker": "registered"}[program])
	return watched{p, svc.t, host}
}

// httpClient keeps no connection open, for which a program would wait when it ends.
var httpClient = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}

// ask sends a request without a body, and returns the response and its text.
func ask(t *testing.T, method, url string) (r *http.Response, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = httpClient.Do(request); err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// get returns the status and the text of a page.
func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	r, text := ask(t, "GET", url)
	return r.StatusCode, text
}

// get returns the status and the text of one of the program's pages.
func (p watched) get(path string) (status int, text string) {
	p.t.Helper()
	return get(p.t, "http://"+p.host+path)
}

// metrics returns the samples of a scrape, without "taskkeeper_" in front.
func (p watched) metrics() map[string]float64 {
	p.t.Helper()
	_, text := p.get("/metrics")
	samples := map[string]float64{}
	for line := range strings.Lines(text) {
		if name, ours := strings.CutPrefix(line, "taskkeeper_"); ours {
			name, value, _ := strings.Cut(strings.TrimSpace(name), " ")
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				p.t.Fatalf("%q: %v", line, err)
			}
			samples[name] = n
		}
	}
	return samples
}

// counts waits until the samples have these values. -1 stands for a sample that does not exist.
func (p watched) counts(want map[string]float64) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%s counts %v", p, want), func() (bool, string) {
		got := p.metrics()
		seen := map[string]float64{}
		for name := range want {
			seen[name] = -1
			if n, there := got[name]; there {
				seen[name] = n
			}
		}
		return maps.Equal(seen, want), fmt.Sprint(seen)
	})
}

// answers waits until a page has a status and begins with a text.
func (p watched) answers(path string, status int, text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%s answers %d at %s", p, status, path), func() (bool, string) {
		got, body := p.get(path)
		return got == status && strings.HasPrefix(body, text), fmt.Sprint(got, " ", body)
	})
}

// promtool runs Debian's promtool, which must find no fault.
func promtool(t *testing.T, in string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "promtool", args...)
	c.Stdin = strings.NewReader(in)
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatalf("promtool: %v: apt-get install prometheus", err)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", c, err, out)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("count_what_was_done", func(t *testing.T) {
		svc := start(t)
		leader := svc.watched("master")
		backup := svc.watched("master")
		w := svc.watched("worker")
		leader.counts(map[string]float64{`workers{queue="(default)",state="free"}`: 1, "is_leader": 1})
		const tasks = 30
		payloads := append(slices.Repeat([]string{"0"}, tasks-1), "potato")
		c := svc.start("client", append([]string{"run"}, payloads...)...)
		c.Exit(1)
		svc.empty()
		svc.free()
		leader.counts(map[string]float64{
			"is_leader": 1, "leader_answers": 1, "elections_total": 1, "fenced_writes_total": 0,
			`assignments_total{queue="(default)"}`:     tasks,
			`losses_total{queue="(default)"}`:          0,
			`tasks{queue="(default)",state="pending"}`: 0, `tasks{queue="(default)",state="done"}`: 0,
			`tasks{queue="(default)",state="failed"}`: 0, `tasks{queue="(default)",state="running"}`: 0,
			`workers{queue="(default)",state="free"}`: 1, `workers{queue="(default)",state="busy"}`: 0,
			`oldest_pending_age_seconds{queue="(default)"}`: 0,
			"zookeeper_connected":                           1, "zookeeper_sessions_total": 1, "zookeeper_reconnects_total": 0,
		})
		backup.counts(map[string]float64{
			"is_leader": 0, "leader_answers": -1, "elections_total": 0, "leader_turn_seconds": 0,
			`assignments_total{queue="(default)"}`:          -1,
			`tasks{queue="(default)",state="pending"}`:      -1,
			`workers{queue="(default)",state="free"}`:       -1,
			`oldest_pending_age_seconds{queue="(default)"}`: -1,
			"zookeeper_connected":                           1, "zookeeper_sessions_total": 1, "zookeeper_reconnects_total": 0,
		})
		w.counts(map[string]float64{
			`execution_duration_seconds_count{queue="(default)",result="done"}`:   tasks - 1,
			`execution_duration_seconds_count{queue="(default)",result="failed"}`: 1,
			`task_waiting_seconds_count{queue="(default)"}`:                       tasks,
			`slots{queue="(default)"}`:                                            1, `slots_busy{queue="(default)"}`: 0,
			"zookeeper_connected": 1, "zookeeper_sessions_total": 1, "zookeeper_reconnects_total": 0,
		})
		doc := readFile(t, "../../metrics/doc.go")
		for name, p := range map[string]watched{"leader": leader, "backup": backup, "worker": w} {
			_, text := p.get("/metrics")
			promtool(t, text, "check", "metrics")
			for _, m := range regexp.MustCompile(`(?m)^# TYPE taskkeeper_(\w+)`).FindAllStringSubmatch(text, -1) {
				if !regexp.MustCompile(`(?m)^//\t.*\b` + m[1] + `\b`).MatchString(doc) {
					t.Errorf("the documentation of package metrics does not name %s", m[1])
				}
			}
			p.answers("/healthz", 200, "ok")
			p.answers("/readyz", 200, "ok")
			if n := p.metrics()[`zookeeper_request_duration_seconds_count{request="get"}`]; n == 0 {
				t.Errorf("the %s has counted no read", name)
			}
		}

		// The worker is killed with a task, and another one does it.
		c = svc.start("client", "run", "3600")
		w.counts(map[string]float64{`slots_busy{queue="(default)"}`: 1})
		leader.counts(map[string]float64{
			`tasks{queue="(default)",state="running"}`: 1, `workers{queue="(default)",state="busy"}`: 1, `workers{queue="(default)",state="free"}`: 0,
		})
		w.Send(syscall.SIGKILL)
		leader.counts(map[string]float64{`tasks{queue="(default)",state="pending"}`: 1, `workers{queue="(default)",state="busy"}`: 0, `losses_total{queue="(default)"}`: 1})
		if age := leader.metrics()[`oldest_pending_age_seconds{queue="(default)"}`]; age <= 0 || age > 60 {
			t.Errorf("the oldest pending is of %v s", age)
		}
		second := svc.watched("worker")
		leader.counts(map[string]float64{`losses_total{queue="(default)"}`: 1, `assignments_total{queue="(default)"}`: tasks + 2})
		second.counts(map[string]float64{`slots_busy{queue="(default)"}`: 1})
		c.Send(syscall.SIGTERM) // its task is taken away
		second.counts(map[string]float64{
			`execution_duration_seconds_count{queue="(default)",result="cancelled"}`: 1, `slots_busy{queue="(default)"}`: 0,
		})

		// The leader ends, and the backup leads. It finds tasks that are finished, in a queue
		// without a worker.
		gpu := svc.start("worker", "--queue", "gpu")
		svc.start("client", "submit", "--queue", "gpu", "0", "potato").Exit(0)
		finished := map[string]float64{`tasks{queue="gpu",state="pending"}`: 0, `tasks{queue="gpu",state="done"}`: 1, `tasks{queue="gpu",state="failed"}`: 1}
		leader.counts(finished)
		gpu.Signal(syscall.SIGTERM)
		gpu.Exit(0)
		leader.Send(syscall.SIGTERM)
		leader.Exit(0)
		backup.counts(map[string]float64{"is_leader": 1, "elections_total": 1, `workers{queue="(default)",state="free"}`: 1, "leader_answers": 1})
		backup.counts(finished)
	})
	t.Run("count_the_write_of_a_leader_that_stood_still_and_was_replaced", func(t *testing.T) {
		svc := start(t)
		svc.timeout = "20s"
		proxy, behind := svc.via()
		late := behind.watched("master")
		candidate := svc.manual.Children("/master")[0]
		svc.worker()
		late.counts(map[string]float64{`workers{queue="(default)",state="free"}`: 1})
		held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming("/workers/"))
		c := svc.start("client", "run", "0")
		<-held // its assignment is on the way
		late.Send(syscall.SIGSTOP)
		svc.manual.Delete("/master/" + candidate)
		next := svc.watched("master")
		next.counts(map[string]float64{"is_leader": 1, "elections_total": 1})
		release()
		late.Send(syscall.SIGCONT)
		c.Exit(0)
		late.counts(map[string]float64{"fenced_writes_total": 1, "is_leader": 0, "zookeeper_sessions_total": 1, `assignments_total{queue="(default)"}`: -1})
		next.counts(map[string]float64{"fenced_writes_total": 0, `assignments_total{queue="(default)"}`: 1})
	})
	t.Run("cause_no_request_to_ZooKeeper", func(t *testing.T) {
		svc := start(t)
		svc.timeout = "20s"
		proxy, svc := svc.via()
		programs := []watched{svc.watched("master"), svc.watched("worker"), svc.watched("master")}
		svc.start("client", "submit", "0").Exit(0)
		programs[0].counts(map[string]float64{`tasks{queue="(default)",state="done"}`: 1})
		if len(proxy.Seen()) == 0 {
			t.Fatal("nothing goes through the proxy")
		}
		for _, p := range programs {
			proxy.Seen()
			const scrapes = 50
			for range scrapes {
				if p.metrics()["zookeeper_connected"] != 1 {
					t.Fatal("no connection")
				}
				p.get("/healthz")
				p.get("/readyz")
			}
			// The leader reads everything again every 10 s.
			if seen := proxy.Seen(); len(seen) > scrapes/2 {
				t.Errorf("%s: %d requests around %d scrapes: %v", p, len(seen), scrapes, seen)
			}
		}
	})
}

func TestHTTPFlags(t *testing.T) {
	t.Parallel()
	start := newService(t)
	for _, program := range []string{"master", "worker"} {
		t.Run(program, func(t *testing.T) {
			svc := start(t)
			first := svc.watched(program, "--pprof")
			if status, text := first.get("/debug/pprof/cmdline"); status != 200 || !strings.Contains(text, "--pprof") {
				t.Errorf("/debug/pprof/cmdline: %d %q", status, text)
			}
			if !strings.HasPrefix(first.host, "127.0.0.1:") {
				t.Errorf("without a host it serves at %s", first.host)
			}
			for args, want := range map[string]string{
				"--http " + first.host: "1 " + program + ": --http " + first.host + ": bind: address already in use",
				"--http x":             "2 " + program + `: --http: must be PORT or HOST:PORT, such as 9180 or 0.0.0.0:9180, not "x"`,
				"--pprof":              "2 " + program + ": --pprof needs --http, which says where to serve",
			} {
				p := harness.Run(t, harness.Command{Path: filepath.Join(svc.dir, program), Args: append(strings.Fields(args), "--zk", svc.root)})
				status, line, _ := strings.Cut(want, " ")
				n, _ := strconv.Atoi(status)
				p.Exit(n)
				oneLine(t, p, line)
			}
			quiet := svc.watched(program)
			if status, _ := quiet.get("/debug/pprof/"); status != 404 {
				t.Errorf("profiles without --pprof: %d", status)
			}
		})
	}
}
