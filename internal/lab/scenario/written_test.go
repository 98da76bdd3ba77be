package scenario

import (
	"strings"
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

func TestAgree(t *testing.T) {
	whole := records(1, 2, 3, 6, 7, 8)
	for _, tt := range []struct {
		name      string
		records   []history.Txn
		snapshots []int64
		more, err string
	}{
		{name: "equal", records: whole, snapshots: []int64{0}},
		{name: "a snapshot in place of some", records: records(1, 8), snapshots: []int64{0, 7}, more: "; server-2 has 4 of them in a snapshot only"},
		{name: "a snapshot in place of all", snapshots: []int64{8}, more: "has 6 of them in a snapshot only"},
		{name: "some missing", records: records(1, 7, 8), snapshots: []int64{2}, err: "server-2 has not logged transaction 0x3"},
		{name: "the last missing", records: records(1, 2, 3, 6, 7), snapshots: []int64{0}, err: "has not logged transaction 0x8"},
		{name: "void before a snapshot", records: records(1, 2, 3, 4, 8), snapshots: []int64{7},
			more: "; server-2 has 2 of them in a snapshot only; server-2 has 1 more, never committed"},
		{name: "more than the others", records: records(1, 2, 3, 6, 7, 8, 9), snapshots: []int64{0}, err: "server-2 alone has logged transaction 0x9"},
		{name: "void without a snapshot", records: records(1, 2, 3, 4, 6, 7, 8), snapshots: []int64{0}, err: "server-2 alone has logged transaction 0x4"},
		{name: "some twice", records: records(1, 2, 3, 2, 3, 6, 7, 8), more: "; server-2 has 2 of them twice"},
		{name: "another transaction", records: append(records(1, 2, 3, 6, 7), history.Txn{Zxid: 8}), snapshots: []int64{8},
			err: "server-2 has logged another transaction 0x8"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			more, err := agree(whole, []disk{{"server-1", whole, nil}, {"server-2", tt.records, tt.snapshots}})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if tt.more == "" && more != "" || !strings.Contains(more, tt.more) {
				t.Errorf("%q, want %q", more, tt.more)
			}
		})
	}
}

func TestLongest(t *testing.T) {
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	var events []harness.Event
	for _, ms := range []int{0, 100, 110, 410, 500, 1500} {
		events = append(events, harness.Event{Time: at(ms)})
	}
	for _, tt := range []struct {
		name             string
		since, until, ms int
	}{
		{"all", 0, 2000, 1000},
		{"from_the_one_before", 200, 300, 300},
		{"to_the_one_after", 450, 600, 1000},
		{"not_those_after_that", 105, 405, 300},
		{"none_yet", 1600, 2000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := longest(events, at(tt.since), at(tt.until)); got != time.Duration(tt.ms)*time.Millisecond {
				t.Errorf("%v, want %d ms", got, tt.ms)
			}
		})
	}
}
