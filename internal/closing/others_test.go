package closing

import (
	"maps"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestTheServersOwnZnodesStayWithTheAdminOfAnotherInstallation(t *testing.T) {
	in := newInstallation(t)
	zktest.Conn(t, in.server.Addr()).Create("/beside", "")
	_, err := Close(t.Context(), in.tree("admin"), Order{Text: []byte(roles)})
	must(t, err)
	beside := Tree{Session: in.open(in.server.Addr()+"/beside", "viewer"), Servers: in.open(in.server.Addr(), "viewer"), Chroot: "/beside"}
	report, err := Close(t.Context(), beside, Order{Text: []byte("admin x509:CN=tk-viewer\n")})
	if err != nil || !slices.Contains(report.Foreign, serversOwn) {
		t.Errorf("closed: %+v, %v", report, err)
	}
	report, err = Open(t.Context(), beside)
	if err != nil || report.Changed == 0 {
		t.Errorf("opened: %+v, %v", report, err)
	}
}

func TestOpenLeavesAnotherInstallationClosed(t *testing.T) {
	in := newInstallation(t)
	admin, other := in.tree("admin"), in.tree("admin")
	other.Chroot = "/site/app/below"
	other.Session = in.open(in.server.Addr()+other.Chroot, "admin")
	for _, tree := range []Tree{other, admin, other} { // the last one again: nothing of it was opened
		report, err := Close(t.Context(), tree, Order{Text: []byte(roles)})
		must(t, err)
		if tree == admin && !slices.Contains(report.Shared, "/below") {
			t.Errorf("%+v", report)
		}
	}
	beside := Tree{Session: in.open(in.server.Addr()+"/beside", "admin"), Servers: admin.Servers, Chroot: "/beside"}
	_, err := Close(t.Context(), beside, Order{Text: []byte(roles)})
	must(t, err)
	report, err := Open(t.Context(), beside)
	must(t, err)
	if !slices.Contains(report.Shared, serversOwn) {
		t.Errorf("%+v", report)
	}
	for _, tree := range []Tree{other, admin} {
		if report, err := Look(t.Context(), tree, parse(t, roles)); err != nil || len(report.Wrong) > 0 {
			t.Errorf("%s: %+v, %v", tree.Chroot, report, err)
		}
	}
}

func TestTheServersOwnZnodesAreLeftWhenAnotherProgramClosedThem(t *testing.T) {
	in := newInstallation(t)
	h := zktest.Conn(t, in.server.Addr())
	acl := []zk.ACL{{Perms: zk.PermAll, Scheme: "x509", ID: "CN=tk-admin"}, {Perms: zk.PermRead, Scheme: "world", ID: "anyone"}}
	if _, err := h.Conn.SetACL(quotas, acl, -1); err != nil {
		t.Fatal(err)
	}
	admin := in.tree("admin")
	for name, do := range map[string]func() (Report, error){
		"close": func() (Report, error) { return Close(t.Context(), admin, Order{Text: []byte(roles)}) },
		"look":  func() (Report, error) { return Look(t.Context(), admin, parse(t, roles)) },
		"open":  func() (Report, error) { return Open(t.Context(), admin) },
	} {
		if name == "look" {
			_, err := Close(t.Context(), admin, Order{Text: []byte(roles)})
			must(t, err)
		}
		report, err := do()
		if err != nil || !slices.Equal(report.Foreign, []string{quotas}) {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
	is, _, err := h.Conn.GetACL(quotas)
	if err != nil || !maps.Equal(byID(is), byID(acl)) {
		t.Errorf("%v, %v", is, err)
	}
}

func byID(acl []zk.ACL) map[string]int32 {
	all := make(map[string]int32)
	for _, a := range acl {
		all[a.Scheme+":"+a.ID] = a.Perms
	}
	return all
}
