package main

import "testing"

func TestRanges(t *testing.T) {
	many := make([]int, 13)
	for i := range many {
		many[i] = 2 * (i + 1)
	}
	for name, tc := range map[string]struct {
		in   []int
		from int
		want string
	}{
		"none":                   {nil, 0, ""},
		"one":                    {[]int{17}, 0, "17"},
		"in any order":           {[]int{3, 1, 2, 9}, 0, "1-3, 9"},
		"neighbours are a range": {[]int{17, 19, 20, 21, 52}, 0, "17, 19-21, 52"},
		"many are counted":       {many, 0, "2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 3 more ranges"},
		"many and all behind":    {many, 100, "2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 3 more ranges and all from 100 on"},
		"all behind":             {nil, 5, "all from 5 on"},
		"a gap before all":       {[]int{3}, 5, "3 and all from 5 on"},
		"the last range goes on": {[]int{1, 3, 4}, 5, "1 and all from 3 on"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ranges(tc.in, tc.from); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
