package zkwire

import "testing"

func TestLimitIsLearntFromThreeCutsAtOneSize(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []int // sizes of requests at which the connection was cut; below 0: of one that was answered
		most   int
	}{
		{"no cut", nil, MaxRequest},
		{"two cuts", []int{500_000, 500_000}, MaxRequest},
		{"three cuts", []int{500_000, 500_000, 500_000}, 499_999},
		{"smaller ones in between", []int{500_000, -499_999, 500_000, -100_000, 500_000}, 499_999},
		{"one as large in between", []int{500_000, 500_000, -500_000, 500_000}, MaxRequest},
		{"a larger one in between", []int{500_000, 500_000, -600_000, 500_000, 500_000}, MaxRequest},
		{"of several sizes", []int{400_000, 500_000, 300_000}, 499_999},
		{"a smaller size after that", []int{400_000, 500_000, 300_000, 300_000, 300_000, 300_000}, 299_999},
		{"the smallest was answered", []int{400_000, 500_000, -400_000, 300_000}, MaxRequest},
	} {
		var l limits
		for _, e := range tt.events {
			if e < 0 {
				l.taken(-e)
			} else {
				l.cut(e, true)
			}
		}
		if most, together := l.bounds(); most != tt.most || most < MaxRequest && together != (most+1)/2 {
			t.Errorf("%s: %d, together %d; want %d", tt.name, most, together, tt.most)
		}
	}
}

func TestARequestIsSuspectedFromTheFirstCutOnUntilOneAsLargeIsAnswered(t *testing.T) {
	for _, served := range []bool{false, true} {
		var l limits
		if l.suspects(MaxRequest) {
			t.Error("suspects a request before any cut")
		}
		for range 2 * cutsEnough {
			if learnt := l.cut(300_000, false); learnt {
				t.Error("a limit is learnt from connections that never answered")
			}
		}
		l.cut(400_000, served)
		if l.suspects(299_999) || !l.suspects(300_000) {
			t.Error("suspects a smaller request, or not one as large")
		}
		if l.taken(299_999); !l.suspects(300_000) {
			t.Error("the answer to a smaller request ends the suspicion")
		}
		if l.taken(350_000); l.suspects(400_000) {
			t.Error("still suspects a request after the answer to one as large")
		}
	}
}
