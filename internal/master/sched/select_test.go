package sched

import (
	"slices"
	"testing"

	"taskkeeper/internal/task"
)

func TestSelect(t *testing.T) {
	ids := newIDs(4)
	r := lead(t, append([]string{"gpu.t"}, ids...), "w1")
	r.given(
		WorkerRead{ID: "w1", Version: 1, List: []string{ids[2]}},
		Refused{Move{Kind: Assign, Tasks: []Claim{{ID: ids[0]}}}, ids[0], Moved}, TaskRead{ID: ids[0], State: task.NewFailed("so"), Version: 1},
	)
	pending := Found{ids[1], "pending"}
	for name, tc := range map[string]struct {
		query Query
		want  []Found
		all   int
	}{
		"all":                  {Query{Most: 10}, []Found{{ids[0], "failed"}, pending, {ids[2], "running"}, {ids[3], "pending"}, {"gpu.t", "pending"}}, 5},
		"the first by id":      {Query{Most: 2}, []Found{{ids[0], "failed"}, pending}, 5},
		"of a state":           {Query{State: "pending", Most: 1}, []Found{pending}, 3},
		"with a part of an id": {Query{Part: ids[1][5:30], Most: 10}, []Found{pending}, 1},
		"of a queue":           {Query{Part: "gpu.", Most: 10}, []Found{{"gpu.t", "pending"}}, 1},
		"none":                 {Query{State: "done", Most: 10}, nil, 0},
	} {
		if got, all := r.s.Select(tc.query); !slices.Equal(got, tc.want) || all != tc.all {
			t.Errorf("%s: %v of %d, want %v of %d", name, got, all, tc.want, tc.all)
		}
	}
}
