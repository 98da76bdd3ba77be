package client

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// each runs a batch of items with payloads of these sizes. It returns the indices of the
// items that were taken, and of those that were emitted.
func each(ctx context.Context, b Batch, sizes []int, do func(ctx context.Context, it Item) error) (taken, emitted []int, err error) {
	items := make(chan Item)
	ended := make(chan struct{})
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		defer close(items)
		for i, n := range sizes {
			select {
			case items <- Item{Index: i + 1, Payload: make([]byte, n)}:
				taken = append(taken, i+1)
			case <-ended:
				return
			}
		}
	}()
	err = b.Each(ctx, items, func(ctx context.Context, _ string, it Item) Outcome {
		return Outcome{Item: Item{Index: it.Index, Err: do(ctx, it)}}
	}, func(o Outcome) error {
		emitted = append(emitted, o.Index)
		return nil
	})
	close(ended)
	<-sent
	return taken, emitted, err
}

func TestBatch(t *testing.T) {
	const mega = 1 << 20
	sizes := slices.Repeat([]int{mega}, 3*WindowBytes/mega)
	t.Run("keeps_few_large_payloads_in_flight", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var now, most atomic.Int64
			release := make(chan struct{})
			go func() {
				synctest.Wait() // then no more comes
				if n := now.Load(); n != WindowBytes/mega {
					t.Errorf("%d payloads of 1 MB in flight, want %d", n, WindowBytes/mega)
				}
				close(release)
			}()
			_, emitted, err := each(t.Context(), Batch{}, sizes, func(context.Context, Item) error {
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				<-release
				now.Add(-1)
				return nil
			})
			if err != nil || len(emitted) != len(sizes) || !slices.IsSorted(emitted) || most.Load() > WindowBytes/mega {
				t.Errorf("%d of %d emitted, %d at once; %v", len(emitted), len(sizes), most.Load(), err)
			}
		})
	})
	t.Run("runs_few_jobs_at_once_and_a_result_that_waits_is_no_job", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var now, begun atomic.Int64
			release, last := make(chan struct{}), make(chan struct{})
			go func() {
				synctest.Wait() // then no more comes
				if n := now.Load(); n != 2 {
					t.Errorf("%d jobs at once, want 2", n)
				}
				close(release)
			}()
			_, emitted, err := each(t.Context(), Batch{Jobs: 2}, make([]int, 20), func(_ context.Context, it Item) error {
				if now.Add(1) > 2 {
					t.Error("a third job")
				}
				defer now.Add(-1)
				if begun.Add(1) == 20 {
					close(last)
				}
				switch it.Index {
				case 1:
					<-last // the results of all others wait for it
				case 2:
					<-release
				}
				return nil
			})
			if err != nil || len(emitted) != 20 || !slices.IsSorted(emitted) {
				t.Errorf("emitted %v; %v", emitted, err)
			}
		})
	})
	t.Run("begins_a_job_only_after_OnOutcome_of_the_one_before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var begun, judged atomic.Int64
			b := Batch{Jobs: 1, OnOutcome: func(Outcome) error {
				synctest.Wait() // a job that begins too early has begun now
				if n := judged.Add(1); begun.Load() != n {
					t.Errorf("%d jobs begun, %d judged", begun.Load(), n)
				}
				return nil
			}}
			_, emitted, err := each(t.Context(), b, make([]int, 200), func(context.Context, Item) error { begun.Add(1); return nil })
			if err != nil || len(emitted) != 200 {
				t.Errorf("emitted %d; %v", len(emitted), err)
			}
		})
	})
	t.Run("emits_an_outcome_for_all_that_was_taken_when_it_is_cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var n atomic.Int64
		taken, emitted, err := each(ctx, Batch{}, sizes, func(ctx context.Context, _ Item) error {
			if n.Add(1) == WindowBytes/mega {
				cancel(errTest)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if err != errTest || !slices.Equal(emitted, taken) || len(taken) < WindowBytes/mega {
			t.Errorf("taken %v, emitted %v; %v", taken, emitted, err)
		}
	})
	t.Run("ends_by_an_error_of_OnOutcome_before_the_first_is_emitted", func(t *testing.T) {
		b := Batch{OnOutcome: func(o Outcome) error { return o.Err }}
		taken, emitted, err := each(t.Context(), b, []int{0, 0, 0}, func(ctx context.Context, it Item) error {
			if it.Index == 2 {
				return errTest
			}
			<-ctx.Done() // a long one
			return context.Cause(ctx)
		})
		if err != errTest || !slices.Equal(emitted, taken) {
			t.Errorf("taken %v, emitted %v; %v", taken, emitted, err)
		}
	})
}
