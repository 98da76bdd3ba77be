package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"taskkeeper/internal/task"
)

// result returns a result of so many bytes, which differs for each i.
func result(i, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08d", i), size/8)
}

// behind runs a batch of n items with large results. All items but the first are done at
// once. Then full is called, and the first is done. behind returns what was emitted.
func behind(t *testing.T, b Batch, n, size int, full func()) (emitted []Outcome, err error) {
	t.Helper()
	items, first := make(chan Item), make(chan struct{})
	go func() { // ends with the batch, which takes all
		defer close(items)
		for i := range n {
			select {
			case items <- Item{Index: i + 1}:
			case <-first:
				return
			}
		}
	}()
	go func() { synctest.Wait(); full(); close(first) }()
	err = b.Each(t.Context(), items, func(ctx context.Context, _ string, it Item) Outcome {
		o := Outcome{Item: it}
		if it.Index == 1 {
			<-first
		}
		o.State = task.State{Phase: task.Done, Facts: "exit=0", Text: result(it.Index, size), Stderr: []byte("e")}
		return o
	}, func(o Outcome) error {
		want := result(o.Index, size)
		if o.Err == nil && (!bytes.Equal(o.State.Text, want) || o.State.Facts != "exit=0" || string(o.State.Stderr) != "e") {
			t.Errorf("result %d is another one", o.Index)
		}
		o.State.Text = nil
		emitted = append(emitted, o)
		return nil
	})
	return emitted, err
}

// inUse returns the size of the heap that is in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// spoolTo sets a new directory for temporary files. open counts the files that are open
// there, and fails the test if a file there has a name.
func spoolTo(t *testing.T) (dir string, open func() int) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir, func() (n int) {
		if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
			t.Errorf("in %s: %v, %v", dir, names, err)
		}
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if path, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(path, dir+"/") {
				n++
			}
		}
		return n
	}
}

func TestBacklog(t *testing.T) {
	const size, n = 700_000, 201
	t.Run("of_140_MB_behind_one_task_is_in_temporary_files", func(t *testing.T) {
		_, files := spoolTo(t)
		before := inUse()
		synctest.Test(t, func(t *testing.T) {
			emitted, err := behind(t, Batch{}, n, size, func() {
				if held := inUse() - before; held > BacklogBytes*5/4 {
					t.Errorf("%d MB are in memory", held>>20)
				}
				if files := files(); files != (n*size-BacklogBytes)/segmentBytes+1 {
					t.Errorf("%d files", files)
				}
			})
			if err != nil || len(emitted) != n {
				t.Errorf("%d emitted, %v", len(emitted), err)
			}
			for i, o := range emitted {
				if o.Index != i+1 || o.Err != nil {
					t.Errorf("at %d: %d, %v", i+1, o.Index, o.Err)
				}
			}
		})
		if n := files(); n > 0 {
			t.Errorf("%d files are left open", n)
		}
	})
	t.Run("of_few_results_needs_no_file", func(t *testing.T) {
		t.Setenv("TMPDIR", "/not/there")
		synctest.Test(t, func(t *testing.T) {
			if emitted, err := behind(t, Batch{}, BacklogBytes/size, size, func() {}); err != nil || len(emitted) != BacklogBytes/size {
				t.Errorf("%d emitted, %v", len(emitted), err)
			}
		})
	})
	t.Run("behind_an_output_that_blocks_is_in_temporary_files", func(t *testing.T) {
		_, files := spoolTo(t)
		synctest.Test(t, func(t *testing.T) {
			items, block := make(chan Item), make(chan struct{})
			go func() {
				defer close(items)
				for i := range 120 {
					items <- Item{Index: i}
				}
			}()
			go func() {
				synctest.Wait()
				if files() == 0 {
					t.Error("no file")
				}
				close(block)
			}()
			n := 0
			err := Batch{Unordered: true}.Each(t.Context(), items, func(_ context.Context, _ string, it Item) Outcome {
				return Outcome{Item: it, Result: Result{State: task.NewDone(result(it.Index, size))}}
			}, func(o Outcome) error {
				<-block
				if !bytes.Equal(o.State.Text, result(o.Index, size)) {
					t.Errorf("result %d is another one", o.Index)
				}
				n++
				return nil
			})
			if err != nil || n != 120 {
				t.Errorf("%d emitted, %v", n, err)
			}
		})
	})
	t.Run("without_room_on_the_disk_ends_the_batch_and_loses_no_result", func(t *testing.T) {
		t.Setenv("TMPDIR", "/not/there")
		synctest.Test(t, func(t *testing.T) {
			emitted, err := behind(t, Batch{}, n, size, func() {})
			if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "64 MB") || !strings.Contains(err.Error(), "$TMPDIR: open /not/there/") {
				t.Errorf("%v", err)
			}
			if len(emitted) <= BacklogBytes/size {
				t.Errorf("%d emitted", len(emitted))
			}
			for i, o := range emitted {
				if o.Index != i+1 || o.Err != nil && !o.Withdrawn {
					t.Errorf("at %d: %d, %v", i+1, o.Index, o.Err)
				}
			}
		})
	})
}
