package closing

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/lab/zktest"
)

func TestZnodesMadeByHandBelowATaskAreClosedAndOpened(t *testing.T) {
	in := newInstallation(t)
	admin := in.tree("admin")
	in.fill(admin.Session, 1)
	h := zktest.Conn(t, in.root)
	h.Create("/tasks/0/note", "")
	h.Create("/tasks/0/note/more", "")
	for _, change := range []struct {
		name string
		do   func() (Report, error)
		ends access.Policy
	}{
		{"closing", func() (Report, error) { return Close(t.Context(), admin, Order{Text: []byte(roles)}) }, parse(t, roles)},
		{"opening", func() (Report, error) { return Open(t.Context(), admin) }, access.Policy{}},
	} {
		_, err := change.do()
		must(t, err)
		for _, path := range []string{"/tasks/0/note", "/tasks/0/note/more"} {
			if acl, _, err := h.Conn.GetACL("/site/app" + path); err != nil || !change.ends.Obeys(path, acl) {
				t.Errorf("%s: %s has the ACL %v, %v", change.name, path, acl, err)
			}
		}
	}
}

func TestAboveTheChrootOnlyUnsharedZnodesAreClosed(t *testing.T) {
	in := newInstallation(t)
	h := zktest.Conn(t, in.server.Addr())
	h.Create("/others", "")
	admin := in.tree("admin")
	report, err := Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	if !slices.Equal(report.Shared, []string{"/"}) || len(report.Foreign) > 0 {
		t.Errorf("%+v", report)
	}
	client := zktest.ConnAs(t, in.server.Addr(), in.server.Identity("client"))
	client.Create("/also", "")
	if _, err := client.Conn.Create("/site/flood", nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("a client creates a znode beside the chroot: %v", err)
	}

	h.Delete("/others")
	h.Delete("/also")
	look, err := Look(t.Context(), in.tree("viewer"), parse(t, roles))
	must(t, err)
	if !slices.Equal(look.Wrong, []string{"/"}) || len(look.Shared) > 0 {
		t.Errorf("Look, when the others' znodes are gone: %+v", look)
	}
	_, err = Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	in.obeys(roles)
}
