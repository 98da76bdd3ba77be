package cmdtest

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/task"
)

// permit sets what everyone may do with a permanent znode.
func (svc *service) permit(path string, perms int32) {
	svc.t.Helper()
	if _, err := svc.manual.Conn.SetACL(svc.chroot()+path, zk.WorldACL(perms), -1); err != nil {
		svc.t.Fatal(err)
	}
}

// role is one of the programs in TestMissingRight.
type role string

const (
	theLeader role = "leader" // it begins to lead when the right is missing
	newMaster role = "new master"
	oldWorker role = "worker" // it gets SIGTERM when the right is missing
	newWorker role = "new worker"
	theRun    role = "client run"
	theLoop   role = "client"
	theSubmit role = "client submit"
)

// rights lists which programs need which right on which znode. Such a program reports once that the
// right is missing, and goes on when the right is there again. No other program reports it.
var rights = []struct {
	path  string
	right string
	perm  int32
	says  []role
}{
	{task.MasterDir, "read", zk.PermRead, []role{theLeader, newMaster, theRun, theLoop}},
	{task.MasterDir, "create", zk.PermCreate, []role{newMaster}},
	{task.MasterDir, "delete", zk.PermDelete, nil}, // a leader that resigns ends its session
	{task.WorkersDir, "read", zk.PermRead, []role{theLeader, theRun, theLoop}},
	{task.WorkersDir, "create", zk.PermCreate, []role{newWorker}},
	{task.WorkersDir, "delete", zk.PermDelete, []role{oldWorker}},
	{task.TasksDir, "read", zk.PermRead, []role{theLeader, theRun, theLoop}},
	{task.TasksDir, "create", zk.PermCreate, []role{theRun, theLoop, theSubmit}},
	{task.TasksDir, "delete", zk.PermDelete, []role{theRun, theLoop}},
	{task.DataDir, "read", zk.PermRead, []role{theLeader}},
	{task.DataDir, "create", zk.PermCreate, []role{theRun, theLoop, theSubmit}},
	{task.DataDir, "delete", zk.PermDelete, []role{theRun, theLoop}},
	{task.DrainDir, "read", zk.PermRead, []role{theLeader, theRun, theLoop}},
	{task.MasterDir, "write", zk.PermWrite, nil},
	{task.WorkersDir, "write", zk.PermWrite, nil},
	{task.TasksDir, "write", zk.PermWrite, nil},
	{task.DataDir, "write", zk.PermWrite, nil},
}

// One right on one permanent znode is taken away while all roles are at work and more of them start,
// and is given back.
func TestMissingRight(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "it sets ACLs of its own")
	start := newService(t)
	for _, tc := range rights {
		t.Run("to_"+tc.right+tc.path+"_is_reported_once_and_waited_for", func(t *testing.T) {
			t.Parallel()
			svc := start(t)
			svc.dirs()
			first := svc.master()
			first.Line(first.Stderr, " leader ")
			old := svc.worker()
			ps := map[role]*harness.Child{theLeader: svc.master(), oldWorker: svc.worker()}
			said := func(p *harness.Child) int {
				return logged(p, fmt.Sprintf("znode=%s right=%s", tc.path, tc.right)) + // a program without the right
					logged(p, fmt.Sprintf("the right to %s %s", tc.right, tc.path)) // a client that waits for the leader
			}

			svc.permit(tc.path, zk.PermAll&^tc.perm)
			ps[newMaster], ps[newWorker] = svc.start("master"), svc.start("worker")
			first.Send(syscall.SIGTERM)
			first.Exit(0)
			ps[oldWorker].Send(syscall.SIGTERM)
			ps[oldWorker].Exit(0)
			ps[theRun], ps[theSubmit] = svc.start("client", "run", "0", "1.5"), svc.start("client", "submit", "0")
			ps[theLoop] = svc.start("client", "--max-sleep", "100ms")
			for _, r := range tc.says {
				zktest.Eventually(t, string(r)+" says so", func() (bool, string) { return said(ps[r]) > 0, ps[r].Stderr.String() })
			}
			for _, args := range [][]string{{"status"}, {"doctor"}, {"explain", "none"}} {
				c := svc.start("client", args...)
				<-c.Done()
				out := c.Stdout.String() + c.Stderr.String()
				tells := args[0] == "doctor" || args[0] == "status" && tc.path != task.DataDir
				if tells && tc.perm == zk.PermRead && !regexp.MustCompile(tc.path+":? +may not be read: ").MatchString(out) || strings.Contains(out, "panic") {
					t.Errorf("%s: %s", c, out)
				}
			}
			svc.permit(tc.path, zk.PermAll)

			for _, r := range []role{theRun, theSubmit} {
				ps[r].Exit(0)
			}
			ps[newWorker].Line(ps[newWorker].Stderr, "registered")
			ps[newMaster].Line(ps[newMaster].Stderr, " candidate=")
			old.Send(syscall.SIGTERM)
			old.Exit(0)
			svc.start("client", "run", "0").Exit(0) // by the fresh worker
			ps[theLeader].Send(syscall.SIGTERM)
			ps[theLeader].Exit(0)
			ps[newMaster].Line(ps[newMaster].Stderr, " leader ")
			svc.start("client", "run", "0").Exit(0)
			ps[theLoop].Line(ps[theLoop].Stdout, "result 0")
			ps[theLoop].Send(syscall.SIGTERM)
			ps[theLoop].Exit(0)
			for r, p := range ps {
				if n := said(p); n > 2 { // once that it is missing, once that it is there
					t.Errorf("the %s says %d times that it may not:\n%s", r, n, p.Stderr)
				}
			}
		})
	}
}
