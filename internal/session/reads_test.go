package session

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestReadsTogether(t *testing.T) {
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
		if _, together := count(proxy); together == 0 || together > 4 { // two on their way before one is answered, and again if the connection ended before the answer came
			t.Errorf("%d requests of several", together)
		}
	})
}
