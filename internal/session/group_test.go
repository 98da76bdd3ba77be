package session

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
)

func TestGroup(t *testing.T) {
	t.Run("writes_for_several_at_once", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		const callers = 200
		for i := range callers {
			write(t, s, Create(fmt.Sprintf("/%d", i), nil))
		}
		group := s.NewGroup()
		zxids := make([]int64, callers)
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				<-begin
				path := fmt.Sprintf("/%d", i)
				results, err := group.Multi(Check(path, 0), Set(path, []byte(path), 0))
				if err != nil || len(results) != 2 || results[1].Stat == nil {
					t.Errorf("%s: %v, %v", path, results, err)
					return
				}
				data, stat, err := s.Get(path)
				if err != nil || string(data) != path || stat.Mzxid != results[1].Stat.Mzxid {
					t.Errorf("%s: got another's result: %+v; read %q, %+v, %v", path, results[1].Stat, data, stat, err)
				}
				zxids[i] = results[1].Stat.Mzxid
			})
		}
		close(begin)
		wg.Wait()
		transactions := map[int64]bool{}
		for _, z := range zxids {
			transactions[z] = true
		}
		if len(transactions) > callers/2 {
			t.Errorf("%d transactions for %d callers", len(transactions), callers)
		}
	})
	t.Run("sends_what_may_wait_with_what_comes_next", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		write(t, s, Create("/later", nil), Create("/now", nil))
		group := s.NewGroup()
		zxid := make(chan int64, 1)
		group.Later(func(r []Result, err error) {
			if err != nil || len(r) != 1 {
				t.Errorf("%v, %v", r, err)
				r = []Result{{Stat: new(zk.Stat)}}
			}
			zxid <- r[0].Stat.Mzxid
		}, Set("/later", nil, 0))
		r, err := group.Multi(Set("/now", nil, 0))
		if err != nil {
			t.Fatal(err)
		}
		if later := <-zxid; later != r[0].Stat.Mzxid {
			t.Errorf("at %d, not %d", later, r[0].Stat.Mzxid)
		}
	})
	t.Run("sends_what_may_wait_by_itself_a_little_later", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		group := s.NewGroup()
		for i := range 3 {
			done := make(chan error, 2)
			group.Later(func(_ []Result, err error) { done <- err }, Create(fmt.Sprint("/a", i), nil))
			group.Later(func(_ []Result, err error) { done <- err }, Create("/none/b", nil))
			one, two := <-done, <-done
			if (one == nil) == (two == nil) || !errors.Is(errors.Join(one, two), zk.ErrNoNode) {
				t.Errorf("%v, %v", one, two)
			}
		}
	})
	t.Run("refuses_only_the_write_that_the_server_refuses", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		write(t, s, Create("/a", nil))
		// One batch, as send would hand it over.
		batch := []*part{
			{ops: []Op{Create("/1", nil)}},
			{ops: []Op{Create("/2", nil), Check("/a", 7)}},
			{ops: []Op{Create("/3", nil), Set("/a", []byte("x"), 0)}},
			{ops: []Op{Set("/a", nil, 0), Create("/4", nil)}},
			{ops: nil},
			{ops: []Op{Create("/5", nil), Create("/6-", nil), Delete("/none", 0)}},
			{ops: []Op{Create("/7", nil)}},
		}
		type answer struct {
			results []Result
			err     error
		}
		answers := make(map[*part]answer)
		for _, p := range batch {
			p.done = func(r []Result, err error) { answers[p] = answer{r, err} }
		}
		s.NewGroup().carryOut(batch)
		want := []struct {
			err   error
			index int
		}{{}, {zk.ErrBadVersion, 1}, {}, {zk.ErrBadVersion, 0}, {}, {zk.ErrNoNode, 2}, {}}
		for i, p := range batch {
			a := answers[p]
			if want[i].err == nil {
				if a.err != nil || len(a.results) != len(p.ops) {
					t.Errorf("part %d: %v, %v", i, a.results, a.err)
				}
				continue
			}
			var refused *OpError
			if !errors.Is(a.err, want[i].err) || !errors.As(a.err, &refused) || refused.Index != want[i].index {
				t.Errorf("part %d: %v, want %v at %d", i, a.err, want[i].err, want[i].index)
			}
		}
		for path, want := range map[string]bool{"/1": true, "/2": false, "/3": true, "/4": false, "/5": false, "/7": true} {
			if _, _, err := s.Get(path); (err == nil) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
	t.Run("serves_each_of_many_callers_at_once", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		group := s.NewGroup()
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[string]int{}
		for i := range 120 {
			wg.Go(func() {
				path := fmt.Sprintf("/%d", i%40) // each is created by one of three
				results, err := group.Multi(Create(path, []byte{byte(i)}))
				switch {
				case err == nil:
					if data, _, err := s.Get(path); err != nil || data[0] != byte(i) || results[0].Path != path {
						t.Errorf("%s: %v, %v, %v", path, results, data, err)
					}
					mu.Lock()
					won[path]++
					mu.Unlock()
				case !errors.Is(err, zk.ErrNodeExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 40 {
			t.Errorf("%d created", len(won))
		}
		for path, n := range won {
			if n != 1 {
				t.Errorf("%s was created %d times", path, n)
			}
		}
	})
	t.Run("keeps_each_packet_within_bounds", func(t *testing.T) {
		root := zktest.Connect(t)
		s, hand := newSession(t, root), zktest.Conn(t, root)
		group := s.NewGroup()
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if _, err := group.Multi(Create(fmt.Sprintf("/%d", i), make([]byte, 300_000))); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := group.Multi(Create(fmt.Sprintf("/large-%d", i), make([]byte, MaxPacket))); !errors.Is(err, ErrTooLarge) {
					t.Errorf("error %v", err)
				}
			})
		}
		wg.Wait()
		if got := hand.Children("/"); len(got) != 12 {
			t.Errorf("created %q", got)
		}
	})
	t.Run("ends_with_the_session", func(t *testing.T) {
		s := newSession(t, zktest.Connect(t))
		group := s.NewGroup()
		s.Close()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := group.Multi(Create("/a", nil)); !errors.Is(err, ErrOver) {
					t.Errorf("error %v", err)
				}
			})
		}
		wg.Wait()
	})
}
