package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestMulti(t *testing.T) {
	t.Run("carries_out_all", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root), zktest.Conn(t, root)
		hand.Create("/old", "1")
		hand.Create("/gone", "")
		results := write(t, s,
			Check("/old", 0),
			Create("/new", []byte("a")),
			Set("/old", []byte("2"), 0),
			Set("/old", []byte("3"), 1),
			Delete("/gone", AnyVersion),
			CreateEphemeral("/e", nil),
			CreateEphemeralSequential("/seq-", nil),
		)
		if len(results) != 7 {
			t.Fatalf("%d results", len(results))
		}
		if got := results[1].Path; got != "/new" {
			t.Errorf("created %q", got)
		}
		if got := results[6].Path; len(got) != len("/seq-")+10 || !strings.HasPrefix(got, "/seq-") {
			t.Errorf("created %q", got)
		}
		if got := results[3].Stat; got == nil || got.Version != 2 {
			t.Errorf("stat after the set: %+v", got)
		}
		if stat, _ := hand.Stat("/old"); results[3].Stat == nil || stat.Mzxid != results[3].Stat.Mzxid {
			t.Errorf("stat after the set: %+v, read %+v", results[3].Stat, stat)
		}
		if data, _ := hand.Get("/old"); data != "3" {
			t.Errorf("data %q", data)
		}
		for _, path := range []string{results[5].Path, results[6].Path} {
			if stat, ok := hand.Stat(path); !ok || stat.EphemeralOwner != s.ID() {
				t.Errorf("%s: %+v, %v", path, stat, ok)
			}
		}
		if _, ok := hand.Stat("/gone"); ok {
			t.Error("not deleted")
		}
	})
	t.Run("of_nothing_does_nothing", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		if results, err := s.Multi(); err != nil || len(results) != 0 {
			t.Errorf("%v, %v", results, err)
		}
	})
	t.Run("says_which_operation_was_refused_and_carries_out_none", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root), zktest.Conn(t, root)
		hand.Create("/a", "old")
		hand.Create("/a/child", "")
		hand.CreateEphemeral("/e", "")
		tests := []struct {
			name string
			op   Op
			want error
		}{
			{"check of another version", Check("/a", 7), zk.ErrBadVersion},
			{"check of nothing", Check("/none", AnyVersion), zk.ErrNoNode},
			{"create what is there", Create("/a", nil), zk.ErrNodeExists},
			{"create without a parent", Create("/none/x", nil), zk.ErrNoNode},
			{"create under an ephemeral", Create("/e/x", nil), zk.ErrNoChildrenForEphemerals},
			{"set at another version", Set("/a", nil, 7), zk.ErrBadVersion},
			{"set nothing", Set("/none", nil, AnyVersion), zk.ErrNoNode},
			{"delete at another version", Delete("/a/child", 7), zk.ErrBadVersion},
			{"delete nothing", Delete("/none", AnyVersion), zk.ErrNoNode},
			{"delete what has children", Delete("/a", AnyVersion), zk.ErrNotEmpty},
			{"no path", Create("/a\x00b", nil), zk.ErrBadArguments},
		}
		for _, tt := range tests {
			t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
				_, err := s.Multi(Set("/a", []byte("new"), AnyVersion), Create("/b", nil), tt.op, Create("/c", nil))
				var refused *OpError
				if !errors.As(err, &refused) || !errors.Is(err, tt.want) {
					t.Fatalf("error %v, want %v", err, tt.want)
				}
				if refused.Index != 2 || refused.Op.Path != tt.op.Path {
					t.Errorf("operation %d, %s", refused.Index, refused.Op)
				}
				for _, class := range []error{ErrUnknown, ErrOver, ErrTooLarge} {
					if errors.Is(err, class) {
						t.Errorf("also %v", class)
					}
				}
				if data, _ := hand.Get("/a"); data != "old" {
					t.Errorf("data %q", data)
				}
				if got := hand.Children("/"); !slices.Equal(got, []string{"a", "e"}) {
					t.Errorf("znodes %q", got)
				}
			})
		}
	})
	t.Run("refuses_to_send_what_is_too_large", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		ops := []Op{Create("/a", make([]byte, MaxPacket/2)), Create("/b", make([]byte, MaxPacket/2))}
		if _, err := s.Multi(ops...); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("error %v", err)
		}
		if _, err := s.Multi(Create("/a", make([]byte, 2<<20))); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("error %v", err)
		}
		write(t, s, ops[0])
		if since, is := s.Suspended(); is {
			t.Errorf("connection lost at %s", since)
		}
	})
	t.Run("sends_what_just_fits", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t), calm)
		overhead := Create("/a", nil).Size() + len(s.cfg.Address.Chroot)
		data := bytes.Repeat([]byte("x"), MaxPacket-overhead)
		write(t, s, Create("/a", data))
		if got, _, err := s.Get("/a"); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		var small []Op
		for i, size := 0, 0; ; i++ {
			op := CreateEphemeral(fmt.Sprintf("/%d", i), nil)
			if size += op.Size() + len(s.cfg.Address.Chroot); size > MaxPacket {
				break
			}
			small = append(small, op)
		}
		write(t, s, small...) // Size leaves nothing out that counts
	})
	t.Run("fails_on_a_session_that_is_over", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		s.Close()
		_, err := s.Multi(Create("/a", nil))
		var refused *OpError
		if !errors.Is(err, ErrOver) || errors.Is(err, ErrUnknown) || errors.As(err, &refused) {
			t.Errorf("error %v", err)
		}
	})
}

func TestReads(t *testing.T) {
	root := zktest.Connect(t)
	s, hand := newSession(t, root), zktest.Conn(t, root)
	hand.Create("/a", "1")
	hand.Create("/a/b", "")
	hand.Create("/a/c", "")
	gets := map[string]func(string) ([]byte, *zk.Stat, error){"get": s.Get, "get_and_watch": s.GetW}
	lists := map[string]func(string) ([]string, *zk.Stat, error){"list": s.Children, "list_and_watch": s.ChildrenW}
	for name, get := range gets {
		t.Run(name, func(t *testing.T) {
			data, stat, err := get("/a")
			if err != nil || string(data) != "1" || stat.NumChildren != 2 {
				t.Errorf("%q, %+v, %v", data, stat, err)
			}
			if _, _, err := get("/none"); !errors.Is(err, zk.ErrNoNode) || !strings.Contains(err.Error(), "/none") {
				t.Errorf("error %v", err)
			}
		})
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			names, stat, err := list("/a")
			slices.Sort(names)
			if err != nil || !slices.Equal(names, []string{"b", "c"}) || stat.Cversion != 2 {
				t.Errorf("%q, %+v, %v", names, stat, err)
			}
			if _, _, err := list("/none"); !errors.Is(err, zk.ErrNoNode) || !strings.Contains(err.Error(), "/none") {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("sync_succeeds", func(t *testing.T) {
		must(t, s.Sync())
	})
}
