package master

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// link is a session's state of connection.
type link struct {
	timeout time.Duration
	lost    bool
}

func (l link) Suspended() (time.Time, bool) { return time.Time{}, l.lost }
func (l link) Timeout() time.Duration       { return l.timeout }

func TestWatchdog(t *testing.T) {
	const never = time.Hour
	for _, tt := range []struct {
		name  string
		turn  time.Duration // how long each turn of the loop lasts
		pause time.Duration // how long it waits after one
		link  link
		want  time.Duration // when it is told, 0: not
	}{
		{"ends a loop whose turn does not end", never, 0, link{timeout: 4 * time.Second}, longestTurn + tick},
		{"gives a turn as much time as a session has", never, 0, link{timeout: time.Minute}, time.Minute + tick},
		{"leaves a loop alone whose turns last long", 8 * time.Second, 0, link{timeout: 4 * time.Second}, 0},
		{"leaves a loop alone that turns and waits", tick / 2, tick / 2, link{timeout: 4 * time.Second}, 0},
		{"leaves a loop alone that waits for something to happen", 0, never, link{timeout: 4 * time.Second}, 0},
		{"leaves a loop alone that waits for a lost connection", never, 0, link{timeout: 4 * time.Second, lost: true}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b beat
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				pass := func(d time.Duration) error {
					select {
					case <-time.After(d):
					case <-ctx.Done():
					}
					return nil
				}
				var loop sync.WaitGroup
				loop.Go(func() {
					for ctx.Err() == nil {
						_ = b.turn(func() error { return pass(tt.turn) })
						_ = pass(tt.pause)
					}
				})
				began := time.Now()
				var told error
				err := watchdog(ctx, tt.link, &b, func(err error) { told = err })
				if told != err {
					t.Errorf("it told %v, and returned %v", told, err)
				}
				took := time.Since(began)
				if tt.want == 0 && err != nil || tt.want > 0 && (!errors.Is(err, errStuck) || took < tt.want || took > tt.want+tick) {
					t.Errorf("got %v after %v", err, took)
				}
				cancel()
				loop.Wait()
			})
		})
	}
}

// TestAStuckLeaderIsLogged loses the answer to a leader's write, though its session lives.
func TestAStuckLeaderIsLogged(t *testing.T) {
	t.Parallel()
	h, connect := tree(t)
	proxy, via := zktest.Via(t, connect)
	s := harness.Open(t, via, harness.Timeout(4*time.Second))
	told := make(chan error, 1)
	ended := make(chan error, 1)
	go func() { ended <- Run(t.Context(), s, Config{Stuck: func(err error) { told <- err }}) }()
	lost := proxy.Lose(zktest.OpMulti, 1, zktest.Naming("/workers/"))
	submit(h, "t1")
	h.CreateEphemeral("/workers/w1", "")
	<-lost
	select {
	case err := <-told:
		if !errors.Is(err, errStuck) {
			t.Errorf("told %v", err)
		}
	case <-time.After(3 * longestTurn):
		t.Error("nobody was told")
	}
	s.Close()
	<-ended
}
