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
func (sv *service) permit(path string, perms int32) {
	sv.t.Helper()
	if _, err := sv.hand.Conn.SetACL(sv.chroot()+path, zk.WorldACL(perms), -1); err != nil {
		sv.t.Fatal(err)
	}
}

// role is one of the programs in TestRights.
type role string

const (
	theLeader role = "leader" // it begins to lead when the right is missing
	newMaster role = "new master"
	oldWorker role = "worker" // it is told to end then
	newWorker role = "new worker"
	theRun    role = "client run"
	theLoop   role = "client"
	theSubmit role = "client submit"
)

// rights is which programs need which right on which znode: they say that it is missing,
// once, and go on when it is there again. No other program says a word of it.
var rights = []struct {
	path  string
	right string
	perm  int32
	says  []role
}{
	{task.MasterDir, "read", zk.PermRead, []role{theLeader, newMaster, theRun, theLoop}},
	{task.MasterDir, "create", zk.PermCreate, []role{newMaster}},
	{task.MasterDir, "delete", zk.PermDelete, nil}, // whoever resigns ends its session
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

// TestRights takes one right on one permanent znode away while all roles are at work,
// and more of them come, and gives it back.
func TestRights(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "it sets ACLs of its own")
	start := newService(t)
	for _, tc := range rights {
		t.Run(strings.TrimPrefix(tc.path, "/")+"_without_"+tc.right, func(t *testing.T) {
			t.Parallel()
			sv := start(t)
			sv.dirs()
			first := sv.master()
			first.Line(first.Stderr, " leader ")
			old := sv.worker()
			ps := map[role]*harness.Child{theLeader: sv.master(), oldWorker: sv.worker()}
			said := func(p *harness.Child) int {
				return logged(p, fmt.Sprintf("znode=%s right=%s", tc.path, tc.right)) + // who may not
					logged(p, fmt.Sprintf("the right to %s %s", tc.right, tc.path)) // who waits for the leader
			}

			sv.permit(tc.path, zk.PermAll&^tc.perm)
			ps[newMaster], ps[newWorker] = sv.start("master"), sv.start("worker")
			first.Send(syscall.SIGTERM)
			first.Exit(0)
			ps[oldWorker].Send(syscall.SIGTERM)
			ps[oldWorker].Exit(0)
			ps[theRun], ps[theSubmit] = sv.start("client", "run", "0", "1.5"), sv.start("client", "submit", "0")
			ps[theLoop] = sv.start("client", "--max-sleep", "100ms")
			for _, r := range tc.says {
				zktest.Eventually(t, string(r)+" says so", func() (bool, string) { return said(ps[r]) > 0, ps[r].Stderr.String() })
			}
			for _, args := range [][]string{{"status"}, {"doctor"}, {"explain", "none"}} {
				c := sv.start("client", args...)
				<-c.Done()
				out := c.Stdout.String() + c.Stderr.String()
				tells := args[0] == "doctor" || args[0] == "status" && tc.path != task.DataDir
				if tells && tc.perm == zk.PermRead && !regexp.MustCompile(tc.path+":? +may not be read: ").MatchString(out) || strings.Contains(out, "panic") {
					t.Errorf("%s: %s", c, out)
				}
			}
			sv.permit(tc.path, zk.PermAll)

			for _, r := range []role{theRun, theSubmit} {
				ps[r].Exit(0)
			}
			ps[newWorker].Line(ps[newWorker].Stderr, "registered")
			ps[newMaster].Line(ps[newMaster].Stderr, " candidate=")
			old.Send(syscall.SIGTERM)
			old.Exit(0)
			sv.start("client", "run", "0").Exit(0) // by the fresh worker
			ps[theLeader].Send(syscall.SIGTERM)
			ps[theLeader].Exit(0)
			ps[newMaster].Line(ps[newMaster].Stderr, " leader ")
			sv.start("client", "run", "0").Exit(0)
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
