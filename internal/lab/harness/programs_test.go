package harness

import (
	"testing"

	"taskkeeper/internal/task"
)

func TestShortTellsTheTasksOfAClientApart(t *testing.T) {
	s := task.NewSubmitter("gpu")
	seen := make(map[string]bool)
	for range 1000 {
		seen[Short(s.NewID())] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 tasks", len(seen))
	}
	for id, want := range map[string]string{
		"gpu.01a214b2-20ed-72f6-81e6-239503d2a6e5":   "…20ed-72f6",
		"n1:42-3887d5f8-acb4-44d1-967d-19576962a1e7": "…62a1e7",
		"t1": "…t1",
	} {
		if got := Short(id); got != want {
			t.Errorf("%s is shown as %s, want %s", id, got, want)
		}
	}
}
