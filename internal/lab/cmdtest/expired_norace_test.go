//go:build !race

package cmdtest

import (
	"strings"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestReconnectALeaderWhoseSessionHasExpiredDoesNotResign(t *testing.T) {
	t.Parallel()
	svc := newService(t)(t)
	leader := svc.master()
	leader.Line(leader.Stderr, "INF leader ")
	zktest.Expire(t, svc.root, owner(t, svc.manual, "/master/"+svc.manual.Children("/master")[0]))
	leader.Line(leader.Stderr, "starting over with a new session")
	if strings.Contains(leader.Stderr.String(), "resigning") {
		t.Error("it says that it resigns, and it cannot: its candidate vanished with the session")
	}
}
