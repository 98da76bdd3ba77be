package closing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/access"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

func TestMain(m *testing.M) { zktest.Main(m) }

const (
	roles = `admin   x509:CN=tk-admin
master  x509:CN=tk-master
worker  x509:CN=tk-worker
client  x509:CN=tk-client
viewer  x509:CN=tk-viewer
`
	withoutViewer = "admin x509:CN=tk-admin\nmaster x509:CN=tk-master\nworker x509:CN=tk-worker\nclient x509:CN=tk-client\n"
)

func TestCloseAndOpenSetEveryACL(t *testing.T) {
	in := newInstallation(t)
	admin := in.tree("admin")
	n := in.fill(admin.Session, 100)
	in.obeys("")

	report, err := Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	// /access is created closed; the servers' own two come on top, and two above the chroot
	if want := n + 1 + 4; report.Znodes != want || report.Changed != want-1 || len(report.Refused)+len(report.Foreign)+len(report.Wrong) > 0 {
		t.Errorf("%+v, want %d znodes", report, want)
	}
	in.obeys(roles)
	again, err := Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	if again.Changed != 0 || again.Znodes != report.Znodes {
		t.Errorf("again: %+v", again)
	}
	look, err := Look(t.Context(), admin, parse(t, roles))
	must(t, err)
	if look.Znodes != report.Znodes || len(look.Wrong) > 0 {
		t.Errorf("Look: %+v", look)
	}

	t.Run("under_another_policy_too", func(t *testing.T) {
		report, err := Close(t.Context(), admin, Order{Text: []byte(withoutViewer)})
		must(t, err)
		if report.Changed == 0 || len(report.Foreign) > 0 {
			t.Errorf("%+v", report)
		}
		in.obeys(withoutViewer)
	})
	report, err = Open(t.Context(), admin)
	must(t, err)
	if report.Changed < n || len(report.Refused)+len(report.Foreign) > 0 {
		t.Errorf("%+v", report)
	}
	in.obeys("")
	if _, err := admin.Session.Stat(access.Znode); !errors.Is(err, zk.ErrNoNode) {
		t.Errorf("/access: %v", err)
	}
	if report, err := Open(t.Context(), admin); err != nil || report.Changed > 0 {
		t.Errorf("open again: %+v, %v", report, err)
	}
}

func TestASecondCloseClosesWhatWasCreatedDuringTheFirst(t *testing.T) {
	in := newInstallation(t)
	admin := in.tree("admin")
	in.fill(admin.Session, 300)
	old := zktest.ConnAs(t, in.root, in.server.Identity("client")) // a program that knows no policies
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; i < 200 && ctx.Err() == nil; i++ {
			_, _ = old.Conn.Create(fmt.Sprintf("/site/app/tasks/old-%d", i), nil, 0, zk.WorldACL(zk.PermAll))
		}
	}()
	_, err := Close(t.Context(), admin, Order{Text: []byte(roles)})
	cancel()
	<-done
	if err != nil && !strings.Contains(err.Error(), "knows no policies") {
		t.Fatal(err)
	}
	_, err = Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	in.obeys(roles)
}

func TestAnInterruptedChangeIsCompletedByTheNext(t *testing.T) {
	in := newInstallation(t)
	admin := in.tree("admin")
	in.fill(admin.Session, 200)
	for _, change := range []struct {
		name string
		do   func(ctx context.Context, t Tree) error
		ends string
	}{
		{"closing", func(ctx context.Context, t Tree) error {
			_, err := Close(ctx, t, Order{Text: []byte(roles), Quota: &Quota{Tasks: 1000, Bytes: 1e6}})
			return err
		}, roles},
		{"opening", func(ctx context.Context, t Tree) error { _, err := Open(ctx, t); return err }, ""},
	} {
		t.Run(change.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 10, 70, 300} { // changes of ACLs, of 1,200
				proxy, address := zktest.Via(t, in.server.Addr())
				dying := Tree{Session: in.open(address+"/site/app", "admin"), Servers: in.open(address, "admin"), Chroot: "/site/app"}
				met, done := proxy.RefuseAfter(zktest.OpSetACL, n), make(chan error, 1)
				go func() { done <- change.do(t.Context(), dying) }()
				select {
				case <-met:
				case err := <-done: // opening gives up when its first change has no answer
					if err == nil {
						t.Fatalf("it made fewer than %d changes", n)
					}
					done <- err
				}
				zktest.Expire(t, in.server.Addr(), dying.Session.ID()) // and its lock, as if it was killed
				dying.Session.Close()
				dying.Servers.Close()
				if err := <-done; err == nil {
					t.Errorf("after change %d it succeeded without its session", n)
				}
			}
			must(t, change.do(t.Context(), admin))
			in.obeys(change.ends)
		})
	}
}

func TestQuotasAreSetCountedAndRemoved(t *testing.T) {
	in := newInstallation(t)
	admin := in.tree("admin")
	_, err := Close(t.Context(), admin, Order{Text: []byte(roles), Quota: &Quota{Tasks: 3, Bytes: 1000}})
	must(t, err)
	client := in.open(in.root, "client")
	for i := range 3 {
		if _, err := client.Multi(session.Create(fmt.Sprintf("/tasks/%d", i), []byte("0123456789"))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Multi(session.Create("/tasks/3", nil)); !errors.Is(err, session.ErrQuota) {
		t.Errorf("a fourth task: %v", err)
	}
	if _, err := client.Multi(session.Set("/tasks/0", make([]byte, 1001), 0)); err != nil {
		t.Errorf("a result: %v", err)
	}
	if _, err := client.Multi(session.Create("/data/0", make([]byte, 1001))); !errors.Is(err, session.ErrQuota) {
		t.Errorf("1,001 bytes: %v", err)
	}
	want := "[{/tasks {3 0} {3 1021}} {/data {3 1000} {0 0}}]"
	if all, err := Quotas(admin); err != nil || fmt.Sprint(all) != want {
		t.Errorf("%v, %v, want %s", all, err, want)
	}
	if all, err := Quotas(in.tree("viewer")); err != nil || fmt.Sprint(all) != want {
		t.Errorf("a viewer: %v, %v", all, err)
	}
	if err := (Tree{Servers: in.open(in.server.Addr(), "client"), Chroot: "/site/app"}).setQuota(Quota{}, parse(t, roles)); !session.Refused(err) {
		t.Errorf("a client sets a quota: %v", err)
	}
	_, err = Close(t.Context(), admin, Order{Text: []byte(roles), Quota: &Quota{Bytes: 5000}})
	must(t, err)
	if all, err := Quotas(admin); err != nil || fmt.Sprint(all) != "[{/tasks {0 0} {3 1021}} {/data {0 5000} {0 0}}]" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := client.Multi(session.Create("/tasks/3", nil)); err != nil {
		t.Errorf("a fourth task, which is permitted now: %v", err)
	}
	_, err = Open(t.Context(), admin)
	must(t, err)
	if all, err := Quotas(admin); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
	if left := zktest.Conn(t, in.server.Addr()).Children(quotas); len(left) > 0 && !slices.Equal(left, []string{"zookeeper"}) {
		t.Errorf("left: %v", left)
	}
}

func TestCloseRefusesToLockItsCallerOut(t *testing.T) {
	in := newInstallation(t)
	for _, tc := range []struct{ role, policy, says string }{
		{"client", roles, "you would lock yourself out: CN=tk-client is a client by /access, and only an admin can change the policy; to hand it over, name both as admins, and have the other one close it with itself alone"},
		{"admin", "admin x509:CN=boss\n", "you would lock yourself out: CN=tk-admin has no role by /access, and only an admin can change the policy; to hand it over, name both as admins, and have the other one close it with itself alone"},
		{"admin", "admin x509:CN=tk-admin\nmaster digest:odd\n", "the servers do not accept the id digest:odd"},
		{"admin", "admin x509:CN=tk-admin\nmaster x509:nonsense=\n", "the servers do not accept the id x509:nonsense=: they know certificates only if zoo.cfg has a secureClientPort"},
	} {
		tree := in.tree(tc.role)
		if _, err := Close(t.Context(), tree, Order{Text: []byte(tc.policy)}); err == nil || err.Error() != tc.says {
			t.Errorf("%v, want\n%s", err, tc.says)
		}
		if _, err := tree.Session.Stat(access.Znode); !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("%s: /access: %v", tc.role, err)
		}
	}
	if left := zktest.Conn(t, in.server.Addr()).Children("/site/app"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTheRoleOfTheAdminIsHandedOverInTwoSteps(t *testing.T) {
	in := newInstallation(t)
	admin, heir := in.tree("admin"), in.tree("viewer")
	in.fill(admin.Session, 3)
	const last = "admin x509:CN=tk-viewer\nclient x509:CN=tk-client\n"
	for _, step := range []struct {
		by     Tree
		policy string
	}{{admin, roles}, {admin, "admin x509:CN=tk-admin x509:CN=tk-viewer\n"}, {heir, last}} {
		report, err := Close(t.Context(), step.by, Order{Text: []byte(step.policy)})
		if err != nil || len(report.Foreign) > 0 {
			t.Errorf("%q: %+v, %v", step.policy, report, err)
		}
	}
	if report, err := Look(t.Context(), heir, parse(t, last)); err != nil || len(report.Wrong)+len(report.Refused) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := Open(t.Context(), admin); !errors.Is(err, ErrNotAdmin) {
		t.Errorf("opened by the admin before: %v", err)
	}
}

func TestOpenFailsWhereAZnodeIsInTheWay(t *testing.T) {
	in := newInstallation(t)
	admin := in.tree("admin")
	_, err := Close(t.Context(), admin, Order{Text: []byte(roles)})
	must(t, err)
	h := zktest.Conn(t, in.root)
	h.Create("/access/child", "")
	if _, err := Open(t.Context(), admin); err == nil || !strings.Contains(err.Error(), "/access has children") {
		t.Errorf("a child of the policy: %v", err)
	}
	h.Delete("/access/child")
	h.Create("/access-lock", "")
	if _, err := Open(t.Context(), admin); err == nil || !strings.Contains(err.Error(), "/access-lock exists and is not ephemeral") {
		t.Errorf("a lock by hand: %v", err)
	}
	h.Delete("/access-lock")
	_, err = Open(t.Context(), admin)
	must(t, err)
	in.obeys("")
}

func TestTwoChangesWaitForEachOther(t *testing.T) {
	in := newInstallation(t)
	in.fill(in.tree("admin").Session, 300)
	for range 3 {
		var both sync.WaitGroup
		for _, do := range []func(Tree) error{
			func(tree Tree) error { _, err := Close(t.Context(), tree, Order{Text: []byte(roles)}); return err },
			func(tree Tree) error { _, err := Open(t.Context(), tree); return err },
		} {
			tree := in.tree("admin")
			both.Go(func() {
				if err := do(tree); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if _, err := in.tree("admin").Session.Stat(access.Znode); errors.Is(err, zk.ErrNoNode) {
			in.obeys("")
		} else {
			in.obeys(roles)
		}
	}
}

func TestCloseFailsOnAServerWithoutTLS(t *testing.T) {
	root := zktest.Connect(t)
	s := harness.Open(t, root)
	tree := Tree{Session: s, Servers: s, Chroot: harness.SessionConfig(t, root).Address.Chroot}
	if _, err := Close(t.Context(), tree, Order{Text: []byte(roles)}); err == nil || !strings.Contains(err.Error(), "secureClientPort") {
		t.Errorf("%v", err)
	}
}
