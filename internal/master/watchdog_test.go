package master

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// link is a session's state of connection.
type link struct{ lost atomic.Bool }

func (l *link) Suspended() (time.Time, bool) { return time.Time{}, l.lost.Load() }
func (l *link) Timeout() time.Duration       { return 4 * time.Second }

func TestWatchdog(t *testing.T) {
	tests := []struct {
		name  string
		begin int64 // the number of turns; odd while one lasts
		turns bool  // the loop turns
		lost  bool  // the connection is lost
		want  error
	}{
		{"ends a loop whose turn does not end", 1, false, false, errStuck},
		{"leaves a loop alone that turns", 0, true, false, nil},
		{"leaves a loop alone that waits for something to happen", 2, false, false, nil},
		{"leaves a loop alone that waits for a lost connection", 1, false, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var beat atomic.Int64
				beat.Store(tt.begin)
				var l link
				l.lost.Store(tt.lost)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var loop sync.WaitGroup
				if tt.turns {
					loop.Go(func() {
						for ticker := time.NewTicker(tick); ; {
							select {
							case <-ticker.C:
								beat.Add(2)
							case <-ctx.Done():
								return
							}
						}
					})
				}
				began := time.Now()
				var told error
				err := watchdog(ctx, &l, &beat, func(err error) { told = err })
				if told != err {
					t.Errorf("it told %v, and returned %v", told, err)
				}
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("got %v after %s", err, time.Since(began))
				}
				if err != nil && time.Since(began) > 2*patience {
					t.Errorf("only after %s", time.Since(began))
				}
				cancel()
				loop.Wait()
			})
		})
	}
}
