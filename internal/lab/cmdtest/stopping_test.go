package cmdtest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"taskkeeper/internal/lab/harness"
)

func TestAProgramSaysThatItStopsAndABackupNamesTheLeader(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	leader := svc.master()
	backup := svc.start("master")
	backup.Line(backup.Stderr, fmt.Sprintf(":%d", leader.Pid())) // host:pid of the leader
	idle := svc.worker()
	idle.Send(syscall.SIGTERM)
	idle.Exit(0)
	backup.Send(syscall.SIGINT)
	backup.Exit(0)
	for _, p := range []*harness.Child{idle, backup} {
		if n := strings.Count(p.Stderr.String(), `stopping cause="stopped by SIG`); n != 1 {
			t.Errorf("%s says %d times that it stops", p, n)
		}
	}
}
