package zkwire

import "testing"

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []int // cut at a request of that size; below 0: one was answered
		most   int
	}{
		{"nothing", nil, MaxRequest},
		{"two cuts", []int{500_000, 500_000}, MaxRequest},
		{"three cuts", []int{500_000, 500_000, 500_000}, 499_999},
		{"smaller ones in between", []int{500_000, -499_999, 500_000, -100_000, 500_000}, 499_999},
		{"one as large in between", []int{500_000, 500_000, -500_000, 500_000}, MaxRequest},
		{"a larger one in between", []int{500_000, 500_000, -600_000, 500_000, 500_000}, MaxRequest},
		{"of several sizes", []int{400_000, 500_000, 300_000}, 499_999},
		{"and again", []int{400_000, 500_000, 300_000, 300_000, 300_000, 300_000}, 299_999},
		{"the smallest was answered", []int{400_000, 500_000, -400_000, 300_000}, MaxRequest},
	} {
		var l limits
		for _, e := range tt.events {
			if e < 0 {
				l.taken(-e)
			} else {
				l.cut(e)
			}
		}
		if most, together := l.bounds(); most != tt.most || most < MaxRequest && together != (most+1)/2 {
			t.Errorf("%s: %d, together %d; want %d", tt.name, most, together, tt.most)
		}
	}
}
