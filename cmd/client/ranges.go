package main

import (
	"fmt"
	"slices"
	"strings"
)

// shownRanges is how many ranges are named at most.
const shownRanges = 10

// ranges names numbers in a short form, "17, 19-40 and all from 52 on"; "" if there are
// none. Ranges beyond shownRanges are only counted. With from 0 there is no "all from".
func ranges(numbers []int, from int) string {
	var all [][2]int // first and last
	for _, n := range slices.Sorted(slices.Values(numbers)) {
		if last := len(all) - 1; last >= 0 && all[last][1] == n-1 {
			all[last][1] = n
		} else {
			all = append(all, [2]int{n, n})
		}
	}
	if last := len(all) - 1; from > 0 && last >= 0 && all[last][1] == from-1 {
		from, all = all[last][0], all[:last]
	}
	var words []string
	for _, r := range all[:min(len(all), shownRanges)] {
		if r[0] == r[1] {
			words = append(words, fmt.Sprint(r[0]))
		} else {
			words = append(words, fmt.Sprintf("%d-%d", r[0], r[1]))
		}
	}
	shown := len(words)
	if more := len(all) - shown; more > 0 {
		words = append(words, fmt.Sprintf("%d more ranges", more))
	}
	if from > 0 {
		words = append(words, fmt.Sprintf("all from %d on", from))
	}
	if n := len(words) - 1; n > 0 && n >= shown {
		return strings.Join(words[:n], ", ") + " and " + words[n]
	}
	return strings.Join(words, ", ")
}
