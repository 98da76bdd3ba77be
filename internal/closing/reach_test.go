package closing

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/lab/zktest"
)

func TestWhatWasMadeByHandBelowATaskIsClosed(t *testing.T) {
	r := newRig(t)
	admin := r.tree("admin")
	r.fill(admin.Session, 1)
	h := zktest.Conn(t, r.root)
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

func TestAboveTheChrootOnlyWhatIsOursIsClosed(t *testing.T) {
	r := newRig(t)
	h := zktest.Conn(t, r.server.Addr())
	h.Create("/others", "")
	admin := r.tree("admin")
	report, err := Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	if !slices.Equal(report.Shared, []string{"/"}) || len(report.Foreign) > 0 {
		t.Errorf("%+v", report)
	}
	client := zktest.ConnAs(t, r.server.Addr(), r.server.Identity("client"))
	client.Create("/also", "")
	if _, err := client.Conn.Create("/site/flood", nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("a client creates a znode beside the chroot: %v", err)
	}

	h.Delete("/others")
	h.Delete("/also")
	look, err := Look(t.Context(), r.tree("viewer"), parse(t, roles))
	must(t, err)
	if !slices.Equal(look.Wrong, []string{"/"}) || len(look.Shared) > 0 {
		t.Errorf("a look, when the others are gone: %+v", look)
	}
	_, err = Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	r.obeys(roles)
}
