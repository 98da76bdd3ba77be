package scenario

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestAScriptEndsWithTheStepThatFailsAndItsTimelineIsInTheOrderOfTime(t *testing.T) {
	var out bytes.Buffer
	failed := errors.New("failed")
	r := &run{out: &out, began: time.UnixMilli(0)}
	err := attempt(func() {
		r.note(time.UnixMilli(20), "worker-1", "second")
		r.note(time.UnixMilli(10), "master-1", "first")
		r.within("it took", 5*time.Millisecond, 4*time.Millisecond)
		r.must(failed)
		r.section("not reached")
	})
	const want = "    10 ms  master-1  first\n    20 ms  worker-1  second\n  WRONG   it took: 5 ms, at most 4\n"
	if err != failed || out.String() != want || len(r.wrong) != 1 {
		t.Errorf("%v, wrong %q, timeline:\n%s\nwant:\n%s", err, r.wrong, out.String(), want)
	}
}
