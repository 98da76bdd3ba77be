package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// full returns an output to a full pipe, and the end to read it from.
func full(t *testing.T) (o *output, r *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	o = &output{file: w, notice: func(n int) []byte { return fmt.Appendf(nil, "%d dropped\n", n) }}
	t.Cleanup(func() {
		r.Close()
		o.flush(time.Minute, time.Minute) // its goroutine ends
	})
	size, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(append(bytes.Repeat([]byte("-"), size-1), '\n')); err != nil {
		t.Fatal(err)
	}
	return o, r
}

// lineOf reads the next line.
func lineOf(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

func TestOutput(t *testing.T) {
	t.Run("that_is_not_read_blocks_nobody_and_says_how_many_lines_were_dropped", func(t *testing.T) {
		o, r := full(t)
		const many = 50_000
		for i := range many {
			o.offer(fmt.Appendf(nil, "line %d\n", i))
		}
		in := bufio.NewReader(r)
		lineOf(t, in) // what filled the pipe
		for i := 0; ; i++ {
			line, dropped := lineOf(t, in), 0
			if line == fmt.Sprintf("line %d", i) {
				continue
			}
			if _, err := fmt.Sscanf(line, "%d dropped", &dropped); err != nil || i+dropped != many {
				t.Errorf("after %d lines: %q", i, line)
			}
			if i < 5000 {
				t.Errorf("only %d lines were kept", i)
			}
			break
		}
		o.offer([]byte("on\n"))
		if line := lineOf(t, in); line != "on" {
			t.Errorf("then %q", line)
		}
	})
	t.Run("says_where_lines_were_dropped", func(t *testing.T) {
		o, r := full(t)
		long := append(bytes.Repeat([]byte("x"), maxQueued/2), '\n')
		o.offer(long)
		o.offer(long)              // does not fit
		o.offer([]byte("short\n")) // does
		o.offer(long)              // does not
		in := bufio.NewReader(r)
		lineOf(t, in)
		lineOf(t, in)
		for _, want := range []string{"1 dropped", "short", "1 dropped"} {
			if line := lineOf(t, in); line != want {
				t.Errorf("%.20q, want %q", line, want)
			}
		}
	})
	t.Run("that_could_not_be_written_says_so_when_it_can", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		o := &output{file: f, notice: func(n int) []byte { return fmt.Appendf(nil, "%d dropped\n", n) }}
		for range 3 {
			o.offer([]byte("lost\n"))
		}
		o.flush(time.Minute, time.Minute)
		room, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer room.Close()
		if err := unix.Dup2(int(room.Fd()), int(f.Fd())); err != nil {
			t.Fatal(err)
		}
		o.offer([]byte("written\n"))
		o.flush(time.Minute, time.Minute)
		if got, err := os.ReadFile(path); err != nil || string(got) != "3 dropped\nwritten\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("made_non-blocking_by_another_process_loses_nothing", func(t *testing.T) {
		o, r := full(t)
		if err := unix.SetNonblock(int(o.file.Fd()), true); err != nil {
			t.Fatal(err)
		}
		for i := range 5000 {
			o.offer(fmt.Appendf(nil, "line %d\n", i))
		}
		in := bufio.NewReader(r)
		lineOf(t, in)
		for i := range 5000 {
			if line := lineOf(t, in); line != fmt.Sprintf("line %d", i) {
				t.Fatalf("%d: %q", i, line)
			}
		}
	})
	t.Run("is_flushed_as_long_as_it_is_read", func(t *testing.T) {
		o, r := full(t)
		o.offer([]byte("last\n"))
		began := time.Now()
		o.flush(20*time.Millisecond, time.Minute)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		got := make(chan string)
		go func() {
			in := bufio.NewReader(r)
			_, _ = in.ReadString('\n')
			line, _ := in.ReadString('\n')
			got <- line
		}()
		o.flush(time.Minute, time.Minute)
		if line := <-got; line != "last\n" {
			t.Errorf("%q", line)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Run("wait_for_their_reader", func(t *testing.T) {
		o, r := full(t)
		done := make(chan error)
		go func() {
			_, err := (&answers{ctx: t.Context(), out: o, to: o.file}).Write([]byte("answer\n"))
			done <- err
		}()
		in := bufio.NewReader(r)
		lineOf(t, in)
		if line := lineOf(t, in); line != "answer" {
			t.Error(line)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("that_nobody_reads_are_given_up_when_the_program_ends", func(t *testing.T) {
		o, _ := full(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a := &answers{ctx: ctx, out: o, to: o.file}
		for range 100 { // only the first one waits
			if _, err := a.Write([]byte("answer\n")); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
	})
	t.Run("are_still_written_when_the_program_ends_and_somebody_reads", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := (&answers{ctx: ctx, out: &output{file: w}, to: w}).Write([]byte("answer\n")); n != 7 || err != nil {
			t.Error(n, err)
		}
	})
	t.Run("return_the_error_of_the_write", func(t *testing.T) {
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := (&answers{ctx: t.Context(), out: &output{file: f}, to: f}).Write([]byte("answer\n")); !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
	})
}
