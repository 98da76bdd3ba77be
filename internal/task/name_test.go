package task

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSubmitter(t *testing.T) {
	a, b := NewSubmitter("gpu"), NewSubmitter("")
	t.Run("makes_ids_that_sort_by_submission_and_carry_queue_and_mark", func(t *testing.T) {
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

func TestParseName(t *testing.T) {
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

func TestWorkerName(t *testing.T) {
	name := NewWorkerName("gpu", "n1.example.org", 42)
	if queue, rest := SplitQueue(name); queue != "gpu" || !strings.HasPrefix(rest, "n1:42-") {
		t.Errorf("name %q", name)
	}
	if queue, rest := SplitQueue(NewWorkerName("", "n1", 42)); queue != "" || !strings.HasPrefix(rest, "n1:42-") {
		t.Errorf("queue %q, rest %q", queue, rest)
	}
}
