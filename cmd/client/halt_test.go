package main

import "testing"

func TestHaltIsDueAtSoManyFailures(t *testing.T) {
	for _, tc := range []struct {
		text          string
		failed, ended int
		want          bool
	}{
		{"now,fail=1", 0, 9, false},
		{"now,fail=1", 1, 1, true},
		{"soon,fail=3", 2, 9, false},
		{"soon,fail=3", 3, 9, true},
		{"now,fail=50%", 2, 2, false}, // too few have ended
		{"now,fail=50%", 1, 3, false},
		{"now,fail=50%", 2, 3, true},
		{"soon,fail=1%", 1, 100, true},
		{"soon,fail=1%", 1, 101, false},
		{"soon,fail=100%", 3, 3, true},
	} {
		h, err := parseHalt(tc.text)
		if err != nil || h.String() != tc.text || h.soon != (tc.text[0] == 's') {
			t.Errorf("%s: %+v, %s, %v", tc.text, h, h, err)
		}
		if got := h.due(tc.failed, tc.ended); got != tc.want {
			t.Errorf("%s: %d of %d: %v", tc.text, tc.failed, tc.ended, got)
		}
	}
	for _, text := range []string{"", "now", "later,fail=1", "now,fail=0", "now,fail=-1", "now,fail=101%", "now,fail=x", "now,fail=%", "now,success=1", "1", "now,fail=1,x"} {
		if h, err := parseHalt(text); err == nil {
			t.Errorf("%q: %+v", text, h)
		}
	}
	if (halt{}).due(9, 9) || (halt{}).String() != "" {
		t.Error("the zero value halts")
	}
}
