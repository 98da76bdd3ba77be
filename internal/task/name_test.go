package task

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSubmitter(t *testing.T) {
	a, b := NewSubmitter("gpu"), NewSubmitter("")
	t.Run("creates_ids_that_sort_by_submission_and_contain_queue_and_mark", func(t *testing.T) {
		var ids []string
		for range 10_000 {
			ids = append(ids, a.NewID())
		}
		if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Error("ids made one after the other are not sorted, or not unique")
		}
		first := ParseName(ids[0])
		for _, id := range ids {
			if n := ParseName(id); n.Queue != "gpu" || n.ByHand || n.Mark != first.Mark || time.Since(n.Made).Abs() > time.Minute {
				t.Fatalf("ParseName(%q) = %+v; the first was %+v", id, n, first)
			}
		}
	})
	t.Run("has_a_mark_of_its_own", func(t *testing.T) {
		if x, y := ParseName(a.NewID()), ParseName(b.NewID()); x.Mark == y.Mark || y.Queue != "" {
			t.Errorf("%+v and %+v", x, y)
		}
	})
}

func TestParseNameOfATask(t *testing.T) {
	id := NewSubmitter("").NewID()
	for _, c := range []struct{ id, queue string }{
		{"t1", ""}, {"gpu.t1", "gpu"}, {"gpu.a.b", "gpu"}, {".t1", ""}, {"gpu.", "gpu"}, {"", ""},
		{strings.ToUpper(id), ""}, {"{" + id + "}", ""}, {"gpu.x" + id, "gpu"},
		{"9b2ce4f0-7c1e-4c39-9d5c-1f6a0c6f2a11", ""}, // version 4
	} {
		if n := ParseName(c.id); !n.ByHand || n.Queue != c.queue || n.Mark != 0 || !n.Made.IsZero() {
			t.Errorf("ParseName(%q) = %+v, want by hand in queue %q", c.id, n, c.queue)
		}
	}
	// The timestamp of RFC 9562's example.
	n := ParseName("q.017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
	if want := time.Date(2022, 2, 22, 19, 22, 22, 0, time.UTC); n.ByHand || !n.Made.Equal(want) || n.Mark != 0xdc0c0c07398f {
		t.Errorf("got %+v, want made at %v", n, want)
	}
}

func TestNameOfAWorkerIsParsedAsItWasMade(t *testing.T) {
	for _, c := range []struct{ queue, hostname, want string }{
		{"gpu", "n1.example.org", "n1"}, {"", "n1", "n1"}, {"q", "Büro 1/ä\n", "Bro1"}, {"", "", "host"}, {"", ".local", "host"}, {"", "a_b-c", "a_b-c"},
	} {
		name := NewWorkerName(c.queue, c.hostname, 42)
		if queue, host, pid := ParseWorkerName(name); queue != c.queue || host != c.want || pid != 42 {
			t.Errorf("of host %q: %q, read as %q, %q, %d", c.hostname, name, queue, host, pid)
		}
	}
	u := NewWorkerName("", "", 1)[len("host:1-"):]
	for _, c := range []struct{ name, queue, host string }{
		{"me", "", "me"}, {"gpu.me", "gpu", "me"}, {"", "", ""}, {"h:1", "", "h:1"}, {u, "", u}, {"gpu." + u, "gpu", u},
		{"h:0-" + u, "", "h:0-" + u}, {"h:x-" + u, "", "h:x-" + u}, {"h:1-" + u + "x", "", "h:1-" + u + "x"}, {"h:1x" + u, "", "h:1x" + u},
		{"h:-" + u, "", "h:-" + u},
	} {
		if queue, host, pid := ParseWorkerName(c.name); queue != c.queue || host != c.host || pid != 0 {
			t.Errorf("%q is read as %q, %q, %d", c.name, queue, host, pid)
		}
	}
}

func TestParseQueue(t *testing.T) {
	for _, name := range []string{"gpu", "a", "A_b-9", "_", strings.Repeat("q", 64)} {
		if got, err := ParseQueue(name); got != name || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "-gpu", "-", "a.b", ".", "a b", "a/b", "a\n", "ä", "\xff", "a\x00", strings.Repeat("q", 65)} {
		if got, err := ParseQueue(name); got != "" || err == nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
