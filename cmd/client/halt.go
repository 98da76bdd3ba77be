package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// halt says which failures end a run. With the zero value none do.
type halt struct {
	soon    bool // finish the tasks under way; else withdraw them
	failed  int  // at this number of failed tasks
	percent int  // or at this share of the ended tasks, once haltLeast have ended
}

// haltLeast is how many tasks must have ended before a share of them means anything.
const haltLeast = 3

// parseHalt reads those values of GNU parallel's --halt that are about failures.
func parseHalt(text string) (h halt, err error) {
	when, what, _ := strings.Cut(text, ",")
	number, isFail := strings.CutPrefix(what, "fail=")
	share, isShare := strings.CutSuffix(number, "%")
	n, nerr := strconv.Atoi(share)
	switch {
	case when != "now" && when != "soon", !isFail, nerr != nil, n < 1, isShare && n > 100:
		return h, fmt.Errorf("must be now,fail=N, soon,fail=N, or with N%% from 1%% to 100%%, not %q", text)
	case isShare:
		h.percent = n
	default:
		h.failed = n
	}
	h.soon = when == "soon"
	return h, nil
}

func (h halt) String() string {
	when, end := "now", ""
	if h.soon {
		when = "soon"
	}
	if h.percent > 0 {
		end = "%"
	}
	if h == (halt{}) {
		return ""
	}
	return fmt.Sprintf("%s,fail=%d%s", when, h.failed+h.percent, end)
}

// haltAtFirst is --fail-fast.
var haltAtFirst = halt{failed: 1}

// err is why a run ended.
func (h halt) err() error {
	if h == haltAtFirst {
		return errors.New("stopped at the first failure")
	}
	return fmt.Errorf("stopped by --halt %s", h)
}

// due reports whether failed of ended tasks are enough to end the run.
func (h halt) due(failed, ended int) bool {
	switch {
	case h.failed > 0:
		return failed >= h.failed
	case h.percent > 0:
		return ended >= haltLeast && 100*failed >= h.percent*ended
	}
	return false
}
