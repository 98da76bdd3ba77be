package cmdtest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

const alertRules = "../../../scripts/alerts.yml"

func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", alertRules)
	promtool(t, "", "test", "rules", "testdata/alerts_test.yml")

	config := regexp.MustCompile(`(?m)^//\trule_files: .*\n(?://\t.*\n)+`).FindString(readFile(t, "../../metrics/doc.go"))
	config = strings.ReplaceAll(config, "//\t", "")
	rules, err := filepath.Abs(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	config = strings.ReplaceAll(config, "/usr/local/share/taskkeeper/alerts.yml", rules)
	if !strings.Contains(config, "targets:") {
		t.Errorf("the configuration in package metrics: %q", config)
	}
	promtool(t, "", "check", "config", writeFile(t, filepath.Join(t.TempDir(), "prometheus.yml"), config))

	alerts := strings.Split(readFile(t, alertRules), "- alert: ")[1:]
	if len(alerts) != 7 {
		t.Errorf("%d alerts", len(alerts))
	}
	command, flag := regexp.MustCompile(`taskkeeper-client ([a-z]+)`), regexp.MustCompile(` --([a-z-]+)`)
	dir := installed(t)
	help := func(program string, args ...string) string {
		p := harness.Run(t, harness.Command{Path: filepath.Join(dir, "taskkeeper-"+program), Args: append(args, "--help")})
		p.Exit(0)
		return p.Stdout.String()
	}
	flags := help("master") + help("worker")
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert, "\n")
		if !regexp.MustCompile(`(?s)severity: (critical|warning)\n.*summary: \S.*description: >-\n.{200}`).MatchString(alert) {
			t.Errorf("%s wants a severity, a summary, and a description", name)
		}
		for _, m := range command.FindAllStringSubmatch(alert, -1) {
			help("client", m[1])
		}
		for _, m := range flag.FindAllStringSubmatch(alert, -1) {
			if !strings.Contains(flags, "--"+m[1]) {
				t.Errorf("%s: no program has --%s", name, m[1])
			}
		}
	}
}

// prometheus is a server that scrapes programs every 2 s. (A leader that is stuck answers after
// 1 s.) An alert fires when its cause has lasted for 2 s.
type prometheus struct {
	t   *testing.T
	url string
}

func newPrometheus(t *testing.T, programs ...watched) prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("%v: apt-get install prometheus", err)
	}
	var hosts []string
	for _, p := range programs {
		hosts = append(hosts, p.host)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: taskkeeper
    static_configs: [{targets: ['%s']}]
`, strings.Join(hosts, "', '"))
	rules := regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAllString(readFile(t, alertRules), "$1 2s")
	for name, text := range map[string]string{"prometheus.yml": config, "alerts.yml": rules} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	addr := "127.0.0.1:" + freePort(t)
	harness.Run(t, harness.Command{Path: path, Args: []string{
		"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + addr, "--log.level=warn",
	}})
	return prometheus{t, "http://" + addr}
}

// alert is one that fires, or is about to.
type alert struct {
	State               string
	Labels, Annotations map[string]string
}

func (p prometheus) alerts() (alerts []alert, err error) {
	r, err := httpClient.Get(p.url + "/api/v1/alerts")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var answer struct{ Data struct{ Alerts []alert } }
	err = json.NewDecoder(r.Body).Decode(&answer)
	return answer.Data.Alerts, err
}

// fires waits until alerts of these names fire, and no others.
func (p prometheus) fires(names ...string) {
	p.t.Helper()
	p.firing(fmt.Sprint("the alerts that fire are ", names), func(firing []alert) bool {
		var seen []string
		for _, a := range firing {
			seen = append(seen, a.Labels["alertname"])
		}
		slices.Sort(seen)
		return slices.Equal(seen, names)
	})
}

// firesTimes waits until n alerts of a name fire, beside any others, and returns them.
func (p prometheus) firesTimes(n int, name string) (found []alert) {
	p.t.Helper()
	p.firing(fmt.Sprintf("%d alerts %s fire", n, name), func(firing []alert) bool {
		found = slices.DeleteFunc(firing, func(a alert) bool { return a.Labels["alertname"] != name })
		return len(found) == n
	})
	return found
}

func (p prometheus) firing(what string, fits func(firing []alert) bool) {
	p.t.Helper()
	eventually(p.t, what, func() (bool, string) {
		all, err := p.alerts()
		seen := fmt.Sprint(all, err)
		return err == nil && fits(slices.DeleteFunc(all, func(a alert) bool { return a.State != "firing" })), seen
	})
}

// scraped waits until Prometheus has a value of each program.
func (p prometheus) scraped(programs int) {
	p.t.Helper()
	p.counts("taskkeeper_zookeeper_connected==1", programs)
}

// counts waits until Prometheus finds n series by a query.
func (p prometheus) counts(query string, n int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("there are %d of %s", n, query), func() (bool, string) {
		r, err := httpClient.Get(p.url + "/api/v1/query?query=" + url.QueryEscape("count("+query+")"))
		if err != nil {
			return false, err.Error()
		}
		defer r.Body.Close()
		var answer struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		err = json.NewDecoder(r.Body).Decode(&answer)
		got := answer.Data.Result
		return err == nil && len(got) == 1 && got[0].Value[1] == fmt.Sprint(n), fmt.Sprint(got, err)
	})
}

func TestAlertFiresWhenAllWorkersAreKilled(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	leader, other, gpu := svc.watched("master"), svc.watched("worker"), svc.watched("worker", "--queue", "gpu")
	prom := newPrometheus(t, leader, svc.watched("master"), other, gpu)
	svc.start("client", append([]string{"submit"}, slices.Repeat([]string{"3600"}, 20)...)...).Exit(0)
	svc.start("client", "submit", "--queue", "gpu", "3600").Exit(0)
	other.counts(map[string]float64{`slots_busy{queue="(default)"}`: 1})
	gpu.counts(map[string]float64{`slots_busy{queue="gpu"}`: 1})
	prom.scraped(4)
	prom.counts(`taskkeeper_losses_total{queue="gpu"}==0`, 1) // so that it sees them rise
	prom.fires()
	other.Send(syscall.SIGKILL)
	gpu.Send(syscall.SIGKILL)
	var summaries []string
	for _, a := range prom.firesTimes(2, "TaskkeeperNoWorker") {
		summaries = append(summaries, a.Annotations["summary"])
		if a.Labels["severity"] != "critical" || a.Labels["job"] != "taskkeeper" {
			t.Errorf("labels %v", a.Labels)
		}
	}
	slices.Sort(summaries)
	if want := []string{"No worker for queue gpu. Tasks that wait there: 1.", "No worker for the default queue. Tasks that wait there: 20."}; !slices.Equal(summaries, want) {
		t.Errorf("summaries %q, want %q", summaries, want)
	}
	svc.worker()
	svc.worker("--queue", "gpu")
	prom.fires("TaskkeeperLosses", "TaskkeeperLosses") // two tasks run again, and nobody waits for a worker
}

func TestAlertFiresWhenTheLeaderIsStuck(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	svc.timeout = "20s" // so that it has a connection for two thirds of that, though no answer comes
	proxy, behind := svc.via()
	leader := behind.watched("master")
	svc.worker()
	leader.counts(map[string]float64{`workers{queue="(default)",state="free"}`: 1})
	prom := newPrometheus(t, leader)
	prom.scraped(1)
	held, release := proxy.Hold(zktest.OpMulti, 1, zktest.Naming("/workers/"))
	c := svc.start("client", "run", "0")
	<-held // its assignment is on the way
	summary := prom.firesTimes(1, "TaskkeeperLeaderStuck")[0].Annotations["summary"]
	if want := regexp.MustCompile(`^The leader, ` + leader.host + `, was stuck for [5-9]\..*s, and perhaps longer\.$`); !want.MatchString(summary) {
		t.Errorf("summary %q", summary)
	}
	release()
	c.Exit(0)
}
