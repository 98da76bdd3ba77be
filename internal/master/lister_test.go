package master

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }
	for _, tt := range []struct {
		name string
		took []int // each begins as soon as it may; ms
		want int   // when the next may begin; ms
	}{
		{"a short listing after quiet may be followed by another at once", []int{1}, -5},
		{"short listings come to a fifth of the time", []int{2, 2, 2}, 20},
		{"a listing of 60 ms is followed by a pause of 240 ms", []int{60}, 290},
		{"however long one took, the next begins a second after it began", []int{3_600_000}, 990},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p pace
			now := 0
			for _, took := range tt.took {
				now = max(now, int(p.from.Sub(at(0)).Milliseconds()))
				if p.from.IsZero() {
					now = 0
				}
				p.listed(at(now), at(now+took))
				now += took
			}
			if got := int(p.from.Sub(at(0)).Milliseconds()); got != tt.want {
				t.Errorf("at %d ms, want %d", got, tt.want)
			}
		})
	}
}
