package scenario

import (
	"testing"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
)

// records are transactions by their zxids.
func records(zxids ...int64) (txns []history.Txn) {
	for _, z := range zxids {
		txns = append(txns, history.Txn{Zxid: z, Session: z * 10})
	}
	return txns
}

func TestTheLogOfAServer(t *testing.T) {
	whole := records(1, 2, 3, 6, 7, 8)
	for _, tt := range []struct {
		name      string
		records   []history.Txn
		snapshots []int64
		err       string
	}{
		{name: "agrees if it is the whole log", records: whole, snapshots: []int64{0}},
		{name: "agrees if a snapshot covers what is missing", records: records(1, 8), snapshots: []int64{0, 7}},
		{name: "agrees if a snapshot covers everything", snapshots: []int64{8}},
		{name: "agrees if a snapshot covers what was never committed", records: records(1, 2, 3, 4, 8), snapshots: []int64{7}},
		{name: "agrees if it has transactions twice", records: records(1, 2, 3, 2, 3, 6, 7, 8)},
		{name: "lacks what no snapshot covers", records: records(1, 7, 8), snapshots: []int64{2}, err: "has not logged transaction 0x3"},
		{name: "lacks the last transaction", records: records(1, 2, 3, 6, 7), snapshots: []int64{0}, err: "has not logged transaction 0x8"},
		{name: "has more than the others", records: records(1, 2, 3, 6, 7, 8, 9), snapshots: []int64{0}, err: "alone has logged transaction 0x9"},
		{name: "has what was never committed", records: records(1, 2, 3, 4, 6, 7, 8), snapshots: []int64{0}, err: "alone has logged transaction 0x4"},
		{name: "has another transaction", records: append(records(1, 2, 3, 6, 7), history.Txn{Zxid: 8}), snapshots: []int64{8}, err: "has logged another transaction 0x8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := agree(whole, tt.records, tt.snapshots)
			if err == nil && tt.err != "" || err != nil && err.Error() != tt.err {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestLongestTimeWithoutAnEventBeginsWithAMomentAndEndsWithTheLastEvent(t *testing.T) {
	began := time.Now()
	for want, ms := range map[int][]int{0: nil, 70: {70}, 300: {100, 110, 410, 500}, 1000: {100, 1100}} {
		var events []harness.Event
		for _, at := range ms {
			events = append(events, harness.Event{Time: began.Add(time.Duration(at) * time.Millisecond)})
		}
		if got := longest(began, events); got != time.Duration(want)*time.Millisecond {
			t.Errorf("events after %v ms: %v, want %d ms", ms, got, want)
		}
	}
}
