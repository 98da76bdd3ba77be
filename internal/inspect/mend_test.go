package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// tree lists all znodes below a path, with their data.
func tree(h *zktest.ManualClient, path string) (all []string) {
	for _, name := range h.Children(path) {
		child := strings.TrimSuffix(path, "/") + "/" + name
		data, _ := h.Get(child)
		all = append(all, fmt.Sprintf("%s %q", child, data))
		all = append(all, tree(h, child)...)
	}
	return all
}

func TestMendLeavesAloneWhatHasChangedSince(t *testing.T) {
	for name, tc := range map[string]struct{ wrong, since func(h *zktest.ManualClient) }{
		"a payload whose task was made": {
			func(h *zktest.ManualClient) { h.Create("/data/x", "1") },
			func(h *zktest.ManualClient) { h.Create("/tasks/x", "pending") },
		},
		"a task whose payload was made": {
			func(h *zktest.ManualClient) { h.Create("/tasks/x", "pending") },
			func(h *zktest.ManualClient) { h.Create("/data/x", "1") },
		},
		"a payload that was made again": {
			func(h *zktest.ManualClient) { h.Create("/data/x", "1") },
			func(h *zktest.ManualClient) { h.Delete("/data/x"); h.Create("/data/x", "2") },
		},
		"a payload that was written": {
			func(h *zktest.ManualClient) { h.Create("/data/x", "1") },
			func(h *zktest.ManualClient) { h.Set("/data/x", "2") },
		},
		"a payload that has a child now": {
			func(h *zktest.ManualClient) { h.Create("/data/x", "1") },
			func(h *zktest.ManualClient) { h.Create("/data/x/y", "2") },
		},
		"a znode that is gone": {
			func(h *zktest.ManualClient) { h.Create("/workers/w", "") },
			func(h *zktest.ManualClient) { h.Delete("/workers/w") },
		},
		"a list that was written": {
			func(h *zktest.ManualClient) { h.CreateEphemeral("/workers/w", "gone") },
			func(h *zktest.ManualClient) { h.Set("/workers/w", "sound") },
		},
		"a state that was written": {
			func(h *zktest.ManualClient) { h.Set("/tasks/sound", "banana") },
			func(h *zktest.ManualClient) { h.Set("/tasks/sound", "done 1") },
		},
		"a child that was written": {
			func(h *zktest.ManualClient) { h.Create("/tasks/sound/y", "1") },
			func(h *zktest.ManualClient) { h.Set("/tasks/sound/y", "2") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connect := zktest.Connect(t)
			h := zktest.Conn(t, connect)
			dirs(h)
			h.Create("/data/sound", "1")
			h.Create("/tasks/sound", "pending")
			tc.wrong(h)
			s := harness.Open(t, connect, noCreate)
			_, found, err := Diagnose(t.Context(), s, "")
			if err != nil || len(found) != 1 {
				t.Fatalf("found %v, %v", found, err)
			}
			tc.since(h)
			before := tree(h, "/")
			if err := found[0].Mend(t.Context(), s); !errors.Is(err, errChanged) {
				t.Errorf("mended %s: %v", found[0].Proposal(), err)
			}
			if after := tree(h, "/"); !slices.Equal(before, after) {
				t.Errorf("before %q\nafter %q", before, after)
			}
		})
	}
}

func TestMendLeavesAnACLAloneThatHasChangedSince(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	dirs(h)
	h.Create("/data/x", "1")
	h.Create("/tasks/x", "pending")
	h.SetACL("/data/x", zk.WorldACL(zk.PermAdmin))
	s := harness.Open(t, connect, noCreate)
	_, found, err := Diagnose(t.Context(), s, "")
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	h.SetACL("/data/x", zk.WorldACL(zk.PermAdmin|zk.PermWrite))
	if err := found[0].Mend(t.Context(), s); !errors.Is(err, errChanged) {
		t.Errorf("mended: %v", err)
	}
	if got, _, err := s.ACL("/data/x"); err != nil || got[0].Perms != zk.PermAdmin|zk.PermWrite {
		t.Errorf("the ACL is %v, %v", got, err)
	}
}

// The children can be more than fits into a packet, and may not be readable.
func TestMendDeletesALargeTree(t *testing.T) {
	connect := zktest.Connect(t)
	h := zktest.Conn(t, connect)
	dirs(h)
	h.Create("/master/m", "")
	s := harness.Open(t, connect, noCreate)
	ops := []session.Op{session.Create("/master/m/deep", nil)}
	for i := range 5000 {
		ops = append(ops, session.Create(fmt.Sprintf("/master/m/deep/%0100d", i), nil))
		if len(ops) == 1000 || i == 4999 {
			if _, err := s.Multi(ops...); err != nil {
				t.Fatal(err)
			}
			ops = nil
		}
	}
	h.SetACL("/master/m/deep", zk.WorldACL(zk.PermAdmin))
	_, found, err := Diagnose(t.Context(), s, "")
	if err != nil || len(found) != 1 {
		t.Fatalf("found %d, %v", len(found), err)
	}
	if err := found[0].Mend(t.Context(), s); err != nil {
		t.Error(err)
	}
	if left := h.Children("/master"); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

func TestCommandsAreForPlainNamesOnly(t *testing.T) {
	for _, tc := range []struct {
		path, data string
		want       string
	}{
		{"/data/a", "", "delete /lab/data/a"},
		{"/data/-a", "", "delete /lab/data/-a"},
		{"/data/Az09._@%+=:,-", "", "delete /lab/data/Az09._@%+=:,-"},
		{"/data/" + strings.Repeat("x", 128), "", "delete /lab/data/" + strings.Repeat("x", 128)},
		{"/data/" + strings.Repeat("x", 129), "", ""},
		{"/data/a b", "", ""},
		{"/data/$(touch${IFS}x)", "", ""},
		{"/data/`x`", "", ""},
		{`/data/a"b'c`, "", ""},
		{"/data/a;b", "", ""},
		{"/data/~", "", ""},
		{"/data/a\u202eb", "", ""},
		{"/data/ä", "", ""},
		{"/data/$x/b", "", ""},
		{"/workers/w", "t1", "set /lab/workers/w t1"},
		{"/workers/w", "-t1", ""},
		{"/workers/w", "t1\nt2", ""},
		{"/workers/w", "$x", ""},
	} {
		c := removing(tc.path, &Znode{})
		if tc.data != "" {
			c = setting(tc.path, &Znode{}, tc.data)
		}
		if got, safe := c.command("/lab"); got != tc.want || safe != (tc.want != "") {
			t.Errorf("%q: command %q, %t; want %q", tc.path, got, safe, tc.want)
		}
	}
	if c := removing("/data/a", &Znode{}); c.describe("/$x") != `delete "/$x/data/a"` {
		t.Errorf("described as %s", c.describe("/$x"))
	}
	if _, safe := removing("/data/a", &Znode{}).command("/$x"); safe {
		t.Error("a chroot that a shell would expand stands in a command")
	}
}
