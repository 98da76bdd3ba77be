package session

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

// take waits for the hints' next wake-up and takes them.
func take(t *testing.T, h *Hints) (paths []string, all bool) {
	t.Helper()
	zktest.Receive(t, "hint", h.C)
	hinted, all := h.Take()
	return slices.Sorted(maps.Keys(hinted)), all
}

func expect(t *testing.T, h *Hints, want ...string) {
	t.Helper()
	if paths, all := take(t, h); !slices.Equal(paths, want) || all {
		t.Errorf("hints %q, all %v; want %q", paths, all, want)
	}
}

func watch(t *testing.T, s *Session, paths ...string) {
	t.Helper()
	for _, p := range paths {
		_, _, err := s.GetW(p)
		must(t, err)
	}
}

func TestHints(t *testing.T) {
	start := func(t *testing.T) (*Session, *zktest.ManualClient) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root), zktest.Conn(t, root)
		hand.Create("/a", "")
		hand.Create("/a/x", "")
		hand.Create("/a/y", "")
		hand.Create("/b", "")
		return s, hand
	}
	t.Run("name_the_path_that_changed", func(t *testing.T) {
		s, hand := start(t)
		a, b := s.Hints("/a", "/a/y"), s.Hints("/b")

		watch(t, s, "/a", "/b")
		hand.Set("/a", "1")
		expect(t, a, "/a")
		hand.Set("/b", "1")
		expect(t, b, "/b")

		_, _, err := s.ChildrenW("/a")
		must(t, err)
		hand.Create("/a/z", "")
		expect(t, a, "/a")

		watch(t, s, "/a/y")
		hand.Delete("/a/y")
		expect(t, a, "/a/y")
	})
	t.Run("for_all_children_of_a_znode", func(t *testing.T) {
		s, hand := start(t)
		children := s.Hints("/a/")
		watch(t, s, "/a", "/a/x", "/a/y")
		hand.Set("/a", "1") // not a child
		hand.Set("/a/y", "1")
		expect(t, children, "/a/y")
		hand.Set("/a/x", "1")
		expect(t, children, "/a/x")
	})
	t.Run("reach_the_owner_of_the_path_and_that_of_all_children", func(t *testing.T) {
		s, hand := start(t)
		one, children := s.Hints("/a/x"), s.Hints("/a/")
		watch(t, s, "/a/x")
		hand.Set("/a/x", "1")
		expect(t, one, "/a/x")
		expect(t, children, "/a/x")
	})
	t.Run("coalesce_until_they_are_taken", func(t *testing.T) {
		s, hand := start(t)
		a, b := s.Hints("/a/"), s.Hints("/b")
		for range 3 {
			watch(t, s, "/a/x", "/a/y")
			hand.Set("/a/x", "1")
			hand.Set("/a/y", "1")
		}
		watch(t, s, "/b")
		hand.Set("/b", "1") // events come in order: those above are in
		expect(t, b, "/b")
		expect(t, a, "/a/x", "/a/y")
		if paths, all := a.Take(); len(paths) > 0 || all {
			t.Errorf("taken twice: %v, %v", paths, all)
		}
		select {
		case <-a.C:
			t.Error("woken twice")
		default:
		}
	})
	t.Run("end_with_Forget", func(t *testing.T) {
		s, hand := start(t)
		a, b := s.Hints("/a", "/a/"), s.Hints("/b")
		watch(t, s, "/a", "/a/x", "/b")
		s.Forget("/a", "/a/")
		hand.Set("/a", "1")
		hand.Set("/a/x", "1")
		hand.Set("/b", "1")
		expect(t, b, "/b")
		if paths, all := a.Take(); len(paths) > 0 || all {
			t.Errorf("forgotten hints: %v, %v", paths, all)
		}
	})
	t.Run("of_the_chroot_itself_harm_nobody", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root+"/app"), zktest.Conn(t, root)
		write(t, s, Create("/a", nil))
		a := s.Hints("/a")
		_, _, _, err := s.conn.ExistsW(s.cfg.Address.Chroot)
		must(t, err)
		watch(t, s, "/a")
		hand.Set("/app", "1")
		hand.Set("/app/a", "1")
		expect(t, a, "/a")
	})
	t.Run("are_all_there_when_hundreds_of_watches_fire_at_once", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root, calm), zktest.Conn(t, root)
		const n = 800
		many := s.Hints("/many/")
		hand.Create("/many", "")
		var want []string
		var create, set []Op
		for i := range n {
			path := fmt.Sprintf("/many/%03d", i)
			want = append(want, path)
			create, set = append(create, Create(path, nil)), append(set, Set(path, nil, 0))
		}
		other := newSession(t, root, calm)
		write(t, other, create...)
		watch(t, s, want...)
		write(t, other, set...)
		var got []string
		for len(got) < n {
			paths, all := take(t, many)
			if all {
				t.Fatal("connection lost")
			}
			got = append(got, paths...)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d hints, the first %q", len(got), got[0])
		}
	})
	t.Run("say_all_when_the_connection_was_lost", func(t *testing.T) {
		s, _ := start(t)
		h, children := s.Hints("/a", "/b"), s.Hints("/a/")
		cut(s)
		for _, h := range []*Hints{h, children} {
			if _, all := take(t, h); !all {
				t.Error("not all")
			}
		}
	})
}

func TestHintsThatNobodyTakes(t *testing.T) {
	h := &Hints{wake: make(chan struct{}, 1), set: make(map[string]Hint)}
	for i := range mostHints {
		h.add(fmt.Sprint("/a/", i), false)
	}
	if paths, all := h.Take(); len(paths) != mostHints || all {
		t.Errorf("%d paths, all %v", len(paths), all)
	}
	for i := range mostHints + 1 {
		h.add(fmt.Sprint("/a/", i), false)
	}
	if paths, all := h.Take(); len(paths) != mostHints || !all {
		t.Errorf("%d paths, all %v; want all, and no more of them", len(paths), all)
	}
	h.add("/a/1", false)
	if paths, all := h.Take(); len(paths) != 1 || all {
		t.Errorf("%d paths, all %v afterwards", len(paths), all)
	}
}
