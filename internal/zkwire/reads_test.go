package zkwire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"testing"
)

func fresh() *reads {
	most := new(atomic.Int32)
	most.Store(firstReads)
	return &reads{most: most}
}

func TestReadsTogether(t *testing.T) {
	t.Run("are_only_those_without_a_watch", func(t *testing.T) {
		for _, c := range []struct {
			frame []byte
			want  bool
		}{
			{request(1, opGetData, path("/a", 0)...), true},
			{request(1, opGetData, path("/a", 1)...), false}, // with one
			{request(1, 8, path("/a", 0)...), false},
			{request(-2, 11), false}, // a ping
			{request(1, opGetData), false},
			{nil, false},
		} {
			if got := fresh().keep(c.frame); got != c.want {
				t.Errorf("%q: %t", c.frame, got)
			}
		}
	})
	t.Run("go_in_one_request_if_several_and_wait_while_enough_requests_are_under_way", func(t *testing.T) {
		r := fresh()
		first := request(1, opGetData, path("/a", 0)...)
		r.keep(first)
		if got := r.next([]byte("x")); !slices.Equal(got, append([]byte("x"), first...)) {
			t.Errorf("one: %q", got)
		}
		for i := range int32(2 + 2*firstReads) {
			r.keep(request(2+i, opGetData, path("/b", 0)...))
		}
		for i := 1; i < mostSent; i++ {
			got := r.next(nil)
			if n := int(binary.BigEndian.Uint32(got)); n != len(got)-lengthSize || int32At(got, 8) != opMultiRead || bytes.Count(got, []byte("/b")) != firstReads {
				t.Errorf("together: %q", got)
			}
		}
		if got := r.next(nil); len(got) != 0 {
			t.Errorf("before the answer: %q", got)
		}
		if gets := r.answered(2, 100); gets != nil {
			t.Errorf("answered out of turn: %v", gets)
		}
		if gets := r.answered(1, 100); len(gets) != 1 {
			t.Errorf("answered: %v", gets)
		}
		if got := r.next(nil); len(got) == 0 {
			t.Error("nothing after the answer")
		}
		if gets := r.answered(2, 100); len(gets) != firstReads {
			t.Errorf("answered, the second: %v", gets)
		}
	})
	t.Run("grow_in_number_while_the_answers_are_small", func(t *testing.T) {
		r := fresh()
		xid := int32(0)
		answer := func(size int) int {
			for range 2 * mostReads {
				xid++
				r.keep(request(xid, opGetData, path("/a", 0)...))
			}
			r.next(nil)
			return len(r.answered(r.sent[0][0].xid, size))
		}
		for i, want := range []int{firstReads, 2 * firstReads, 4 * firstReads, mostReads} {
			if got := answer(1000); got != want {
				t.Errorf("small answer %d: %d together", i, got)
			}
		}
		for i, want := range []int{mostReads, mostReads / 2, mostReads / 4} {
			if got := answer(largeAnswer); got != want {
				t.Errorf("large answer %d: %d together", i, got)
			}
		}
		for range 20 {
			answer(largeAnswer)
		}
		if got := answer(1000); got != 1 {
			t.Errorf("after many large answers: %d together, want 1", got)
		}
		if got := answer(1000); got != 2 {
			t.Errorf("after a small answer: %d together, want 2", got)
		}
		for range 10 {
			answer(1000)
		}
		r.keep(request(9, opGetData, path("/a", 0)...))
		r.next(nil)
		if r.lost(); r.most.Load() != mostReads/2 {
			t.Errorf("after a lost answer: %d", r.most.Load())
		}
	})
}
