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
		query       Query
		want        []Found
		before, all int
	}{
		"all":                  {Query{Most: 10}, []Found{{ids[0], "failed"}, pending, {ids[2], "running"}, {ids[3], "pending"}, {"gpu.t", "pending"}}, 0, 5},
		"the first by id":      {Query{Most: 2}, []Found{{ids[0], "failed"}, pending}, 0, 5},
		"of a state":           {Query{State: "pending", Most: 1}, []Found{pending}, 0, 3},
		"with a part of an id": {Query{Part: ids[1][5:30], Most: 10}, []Found{pending}, 0, 1},
		"of a queue":           {Query{Part: "gpu.", Most: 10}, []Found{{"gpu.t", "pending"}}, 0, 1},
		"none":                 {Query{State: "done", Most: 10}, nil, 0, 0},
		"after one":            {Query{After: ids[1], Most: 2}, []Found{{ids[2], "running"}, {ids[3], "pending"}}, 2, 5},
		"after one that is of another state, or gone": {Query{State: "pending", After: ids[2] + "x", Most: 1}, []Found{{ids[3], "pending"}}, 1, 3},
		"after the last": {Query{After: "gpu.t", Most: 2}, nil, 5, 5},
		"how many alone": {Query{State: "pending"}, nil, 0, 3},
	} {
		if got := r.s.Select(tc.query); !slices.Equal(got.Tasks, tc.want) || got.Before != tc.before || got.All != tc.all {
			t.Errorf("%s: %v, want %v behind %d of %d", name, got, tc.want, tc.before, tc.all)
		}
	}
}

func TestSelectPageByPage(t *testing.T) {
	ids := newIDs(103)
	slices.Sort(ids)
	r := lead(t, ids, "w1")
	for _, most := range []int{1, 7, 50, 103, 200} {
		var got []string
		q := Query{Most: most}
		for range len(ids) + 1 {
			page := r.s.Select(q)
			if page.Before != len(got) || page.All != len(ids) || len(page.Tasks) != min(most, len(ids)-len(got)) {
				t.Fatalf("%d at most: %d tasks behind %d of %d", most, len(page.Tasks), page.Before, page.All)
			}
			for _, f := range page.Tasks {
				got = append(got, f.ID)
				q.After = f.ID
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%d at most: %v", most, got)
		}
	}
}
