package cmdtest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

func TestAProgramWithoutItsRoleSaysSo(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallation(t)
	inst.close()
	for program, dir := range map[string]string{"master": task.MasterDir, "worker": task.WorkersDir} {
		c := inst.as("viewer", program)
		line := c.Line(c.Stderr, "the policy does not give this program its role: ZooKeeper refuses its requests")
		if !strings.Contains(line, "role="+program) || !strings.Contains(line, `policy="CN=tk-viewer is a viewer by /access"`) {
			t.Errorf("%s: %s", program, line)
		}
		c.Line(c.Stderr, "a right is missing znode="+dir+" right=create")
		inst.says("viewer", 0, words("status"), "leader    none\n", "workers   none\n") // as README says
		c.Send(syscall.SIGTERM)
		c.Exit(0)
		if strings.Count(c.Stderr.String(), "does not give") != 1 {
			t.Errorf("%s:\n%s", program, c.Stderr)
		}
	}
}

func TestWhoMayNotSubmitIsToldAtOnce(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallation(t)
	inst.close()
	for _, args := range []string{"run 0", "submit 0", "run --wait-for-workers 1 0", "--count 1"} {
		inst.says("worker", 1, words(args), "\nclient: submit to /data: no permission: CN=tk-worker is a worker by /access; this needs admin or client\n")
	}
	if tasks := inst.manual.Children("/tasks"); len(tasks) > 0 {
		t.Errorf("created: %v", tasks)
	}
}

// The policy leaves a client out for a while. Then the client may collect its old tasks.
func TestAClientThatIsNamedAgainHasItsTasksAgain(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallationOn(t, zktest.NewServer(t, zktest.Options{TLS: true}))
	inst.close()
	id := inst.submit("0")
	without := inst.file(strings.ReplaceAll(policyText, " x509:CN=tk-client", ""))
	for range 2 { // it stays remembered
		inst.says("admin", 0, []string{"access", "close", without}, "closed: ")
	}
	inst.says("client", 1, []string{"wait", "--json", id}, `"state":"unreadable"`, "client: 1 of 1 task not fetched\n")
	inst.says("client", 1, []string{"wait", id}, "no permission: CN=tk-client has no role by /access; this needs admin, master, worker, viewer or its creator")
	inst.says("admin", 0, words("access show"), " znodes obey\n")
	inst.close()
	inst.as("master", "master")
	inst.as("worker", "worker")
	inst.says("client", 0, []string{"wait", id}, "0\n")
}

// A leader that may write no more would keep the others from leading, and must stop.
func TestAProgramThatThePolicyTakesItsRoleFromMakesWay(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallationOn(t, zktest.NewServer(t, zktest.Options{TLS: true}))
	second, err := inst.server.CA().Issue(zktest.Request{CN: "second"})
	if err != nil {
		t.Fatal(err)
	}
	both := strings.ReplaceAll(policyText, " x509:CN=tk-master", " x509:CN=tk-master x509:CN=second")
	both = strings.ReplaceAll(both, " x509:CN=tk-worker", " x509:CN=tk-worker x509:CN=second")
	inst.says("admin", 0, []string{"access", "close", inst.file(both)}, "closed: ")
	m, w := inst.as("master", "master", "--http", "0"), inst.as("worker", "worker", "--http", "0")
	m.Line(m.Stderr, " leader ")
	w.Line(w.Stderr, "registered")
	ready := func(c *harness.Child, want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s answers %d", c, want), func() (bool, string) {
			status, text := get(t, pageOf(c)+"readyz")
			return status == want, fmt.Sprint(status, text)
		})
	}
	ready(m, 200)
	ready(w, 200)
	backup, other := inst.with(second, "", "master"), inst.with(second, "", "worker")
	backup.Line(backup.Stderr, " backup ")
	other.Line(other.Stderr, "registered")
	run := inst.as("client", "client", "run", "1", "1", "1", "1")
	only := strings.NewReplacer("x509:CN=tk-master ", "", "x509:CN=tk-worker ", "").Replace(both)
	inst.says("admin", 0, []string{"access", "close", inst.file(only)}, "closed: ")
	for _, c := range []*harness.Child{m, w} {
		c.Line(c.Stderr, "the policy takes its role from this program")
		ready(c, 503)
	}
	backup.Line(backup.Stderr, " leader ")
	run.Exit(0)
	if got := run.Stdout.String(); got != "0\n0\n0\n0" {
		t.Errorf("run: %q", got)
	}
	inst.says("admin", 0, []string{"access", "close", inst.file(both)}, "closed: ")
	m.Line(m.Stderr, " backup ")
	zktest.Eventually(t, "all are members", func() (bool, string) {
		members, workers := inst.manual.Children("/members"), inst.manual.Children("/workers")
		return len(members) == 4 && len(workers) == 2, fmt.Sprint(members, workers)
	})
}
