//go:build !race

package cmdtest

import (
	"strings"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestReconnectALeaderWhoseSessionHasExpiredDoesNotResign(t *testing.T) {
	t.Parallel()
	sv := newService(t)(t)
	leader := sv.master()
	leader.Line(leader.Stderr, "INF leader ")
	zktest.Expire(t, sv.root, owner(t, sv.hand, "/master/"+sv.hand.Children("/master")[0]))
	leader.Line(leader.Stderr, "starting over with a new session")
	if strings.Contains(leader.Stderr.String(), "resigning") {
		t.Error("it says that it resigns, and it cannot: its candidate vanished with the session")
	}
}
