package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/zktest"
)

// request is a frame as the library writes it.
func request(xid, opcode int32, body ...byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(requestHeader+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(xid))
	return append(binary.BigEndian.AppendUint32(frame, uint32(opcode)), body...)
}

func path(name string, watch byte) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
	return append(append(body, name...), watch)
}

// answers takes frames apart: what each xid was answered.
func answers(t *testing.T, frames []byte) map[int32]string {
	t.Helper()
	got := make(map[int32]string)
	for len(frames) > 0 {
		size := int(binary.BigEndian.Uint32(frames))
		frame := frames[lengthSize : lengthSize+size]
		frames = frames[lengthSize+size:]
		got[int32(binary.BigEndian.Uint32(frame))] = fmt.Sprintf("zxid %d err %d %q", binary.BigEndian.Uint64(frame[4:]),
			int32(binary.BigEndian.Uint32(frame[12:])), bytes.TrimRight(frame[answerHeader:], "\x00"))
	}
	return got
}

func fresh() *reads {
	most := new(atomic.Int32)
	most.Store(firstReads)
	return &reads{most: most}
}

func TestReadsTogether(t *testing.T) {
	t.Run("keeps_reads_without_a_watch", func(t *testing.T) {
		for _, c := range []struct {
			frame []byte
			want  bool
		}{
			{request(1, opcodeGetData, path("/a", 0)...), true},
			{request(1, opcodeGetData, path("/a", 1)...), false}, // with one
			{request(1, 8, path("/a", 0)...), false},
			{request(-2, 11), false}, // a ping
			{request(1, opcodeGetData), false},
			{nil, false},
		} {
			if got := fresh().keep(c.frame); got != c.want {
				t.Errorf("%q: %t", c.frame, got)
			}
		}
	})
	t.Run("sends_one_as_it_came_and_several_together_while_none_is_under_way", func(t *testing.T) {
		r := fresh()
		first := request(1, opcodeGetData, path("/a", 0)...)
		r.keep(first)
		if got := r.next([]byte("x")); !slices.Equal(got, append([]byte("x"), first...)) {
			t.Errorf("one: %q", got)
		}
		for i := range int32(2 + firstReads) {
			r.keep(request(2+i, opcodeGetData, path("/b", 0)...))
		}
		if got := r.next(nil); len(got) != 0 {
			t.Errorf("before the answer: %q", got)
		}
		if gets := r.answered([]byte{0, 0, 0, 9}, 100); gets != nil {
			t.Errorf("answered by another: %v", gets)
		}
		if gets := r.answered([]byte{0, 0, 0, 1}, 100); len(gets) != 1 {
			t.Errorf("answered: %v", gets)
		}
		got := r.next(nil)
		if n := int(binary.BigEndian.Uint32(got)); n != len(got)-lengthSize || got[11] != opcodeMultiRead || bytes.Count(got, []byte("/b")) != firstReads {
			t.Errorf("together: %q", got)
		}
	})
	t.Run("go_together_in_growing_numbers_while_the_answers_are_small", func(t *testing.T) {
		r := fresh()
		xid := int32(0)
		answer := func(size int) int {
			for range 2 * mostReads {
				xid++
				r.keep(request(xid, opcodeGetData, path("/a", 0)...))
			}
			r.next(nil)
			return len(r.answered(slices.Clone(r.sent[0].xid), size))
		}
		for i, want := range []int{firstReads, 2 * firstReads, mostReads} {
			if got := answer(1000); got != want {
				t.Errorf("%d: %d", i, got)
			}
		}
		for i, want := range []int{mostReads, mostReads / 2, mostReads / 4} {
			if got := answer(largeAnswer); got != want {
				t.Errorf("large, %d: %d", i, got)
			}
		}
		for range 20 {
			answer(largeAnswer)
		}
		if got := answer(1000); got != 1 {
			t.Errorf("at least: %d", got)
		}
		if got := answer(1000); got != 2 {
			t.Errorf("and then: %d", got)
		}
		for range 10 {
			answer(1000)
		}
		r.keep(request(9, opcodeGetData, path("/a", 0)...))
		r.next(nil)
		if r.lost(); r.most.Load() != mostReads/2 {
			t.Errorf("after a lost answer: %d", r.most.Load())
		}
	})
	t.Run("are_answered_one_by_one", func(t *testing.T) {
		gets := []get{{xid: []byte{0, 0, 0, 1}}, {xid: []byte{0, 0, 0, 2}}, {xid: []byte{0, 0, 0, 3}}}
		header := func(code int32) []byte {
			h := append([]byte{0, 0, 0, 1}, 0, 0, 0, 0, 0, 0, 0, 7)
			return binary.BigEndian.AppendUint32(h, uint32(code))
		}
		data := func(size int32, text string) []byte {
			b := appendMultiHeader(nil, opcodeGetData, 0)
			b = append(binary.BigEndian.AppendUint32(b, uint32(size)), text...)
			return append(b, make([]byte, statSize)...)
		}
		none := binary.BigEndian.AppendUint32(appendMultiHeader(nil, opcodeError, 0), 0xffffff9b) // -101, no node
		whole := slices.Concat(header(0), data(3, "abc"), none, data(-1, ""), appendMultiHeader(nil, opcodeError, 1))
		out, err := split(whole, gets)
		if err != nil {
			t.Fatal(err)
		}
		got := answers(t, out)
		want := map[int32]string{1: `zxid 7 err 0 "\x00\x00\x00\x03abc"`, 2: `zxid 7 err -101 ""`, 3: `zxid 7 err 0 "\xff\xff\xff\xff"`}
		for xid, w := range want {
			if got[xid] != w {
				t.Errorf("%d: %s, want %s", xid, got[xid], w)
			}
		}
		for n := range len(whole) - multiHeaderSize { // the end says nothing
			if _, err := split(whole[:n], gets); !errors.Is(err, errMultiRead) {
				t.Fatalf("the first %d bytes of %d: %v", n, len(whole), err)
			}
		}
		out, err = split(header(-6), gets) // the server knows no multi-read
		if err != nil {
			t.Fatal(err)
		}
		for xid, got := range answers(t, out) {
			if got != `zxid 7 err -6 ""` {
				t.Errorf("%d: %s", xid, got)
			}
		}
	})
	// many makes reads at once, some of them of what is not there.
	many := func(t *testing.T, s *Session) {
		t.Helper()
		const n = 300
		var ops []Op
		for i := range n {
			if i%3 > 0 {
				ops = append(ops, Create(fmt.Sprintf("/%d", i), bytes.Repeat([]byte{byte(i)}, i)))
			}
		}
		write(t, s, ops...)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				data, stat, err := s.Get(fmt.Sprintf("/%d", i))
				switch {
				case i%3 == 0 && !errors.Is(err, zk.ErrNoNode):
					t.Errorf("%d, which is not there: %v", i, err)
				case i%3 > 0 && (err != nil || !bytes.Equal(data, bytes.Repeat([]byte{byte(i)}, i)) || int(stat.DataLength) != i):
					t.Errorf("%d: %d bytes, %+v, %v", i, len(data), stat, err)
				}
			})
		}
		all.Wait()
	}
	count := func(p *zktest.Proxy) (alone, together int) {
		for _, op := range p.Seen() {
			switch op {
			case zktest.OpGetData:
				alone++
			case zktest.OpMultiRead:
				together++
			}
		}
		return alone, together
	}
	t.Run("that_are_made_at_once_are_few_requests", func(t *testing.T) {
		proxy, through := zktest.Via(t, zktest.Connect(t))
		many(t, newSession(t, through))
		if alone, together := count(proxy); together == 0 || alone+together > 100 {
			t.Errorf("%d requests of one, %d of several, for 300 reads", alone, together)
		}
	})
	t.Run("are_made_one_by_one_where_the_server_knows_no_other_way", func(t *testing.T) {
		proxy, through := zktest.Via(t, zktest.Connect(t))
		proxy.Unknown(zktest.OpMultiRead)
		s := newSession(t, through)
		id := s.ID()
		many(t, s)
		if s.ID() != id || s.Err() != nil {
			t.Errorf("another session: %v", s.Err())
		}
		if _, together := count(proxy); together == 0 || together > 2 { // one may be on its way before the first is answered
			t.Errorf("%d requests of several", together)
		}
	})
}

func FuzzSplit(f *testing.F) {
	gets := []get{{xid: []byte{0, 0, 0, 1}}, {xid: []byte{0, 0, 0, 2}}}
	f.Add([]byte{})
	f.Add(slices.Concat(make([]byte, answerHeader), appendMultiHeader(nil, opcodeGetData, 0), make([]byte, 4+statSize),
		appendMultiHeader(nil, opcodeError, 0), make([]byte, 4), appendMultiHeader(nil, opcodeError, 1)))
	f.Fuzz(func(t *testing.T, answer []byte) {
		out, err := split(answer, gets)
		if err == nil && len(answers(t, out)) != len(gets) {
			t.Errorf("%q: %q", answer, out)
		}
	})
}
