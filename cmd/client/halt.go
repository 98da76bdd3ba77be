package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// halt is when failures end a run. The zero value is never.
type halt struct {
	soon    bool // tasks under way are finished; else they are withdrawn
	failed  int  // so many failed
	percent int  // or so many of a hundred, once haltLeast have ended
}

// haltLeast is how many tasks must have ended before a share of them says anything.
const haltLeast = 3

// parseHalt reads what GNU parallel's --halt takes, as far as it is about failures.
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

// due tells whether so many failures among so many ends are enough.
func (h halt) due(failed, ended int) bool {
	switch {
	case h.failed > 0:
		return failed >= h.failed
	case h.percent > 0:
		return ended >= haltLeast && 100*failed >= h.percent*ended
	}
	return false
}
