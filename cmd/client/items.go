package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"taskkeeper/internal/client"
	"taskkeeper/internal/task"
)

// items sends the tasks until the input ends or a read fails (see failure), then closes the
// channel. If ctx ends during a read, the goroutine stays until the read returns.
func (in *input) items(ctx context.Context) <-chan client.Item {
	out := make(chan client.Item)
	go func() { // ends with ctx, or when a read returns
		defer close(out)
		defer in.ended.Store(true)
		if in.from != nil {
			defer in.from.Close()
		}
		in.sendAll(ctx, out)
	}()
	return out
}

func (in *input) sendAll(ctx context.Context, out chan<- client.Item) {
	var last time.Time // when the last task to be submitted was sent
	send := func(it client.Item, submit bool) bool {
		if submit && !last.IsZero() && !sleep(ctx, time.Until(last.Add(in.delay))) {
			return false
		}
		if ctx.Err() != nil {
			return false
		}
		select {
		case out <- it:
			in.taken.Add(1)
			if submit {
				last = time.Now()
			}
			return true
		case <-ctx.Done():
			return false
		}
	}
	type item struct {
		client.Item
		submit bool
	}
	var held []item // until the whole joblog is known to match this input
	offer := func(it client.Item) bool {
		if in.log == nil || it.Index > in.log.last {
			return send(it, true)
		}
		past, did, err := in.log.did(it)
		switch {
		case err != nil:
			in.failed.Store(&err)
			return false
		case did && !in.reprint:
			in.skipped.Add(1)
			if past.failed {
				in.skippedFailed.Add(1)
			}
		default:
			held = append(held, item{it, !did})
		}
		for it.Index == in.log.last && len(held) > 0 {
			if !send(held[0].Item, held[0].submit) {
				return false
			}
			held = held[1:]
		}
		return true
	}
	next := in.lines()
	seen := make(map[string]bool) // ids
	for n := 1; ; n++ {
		lines, size, err := group(next, max(1, in.each))
		if err != nil && err != io.EOF {
			err = fmt.Errorf("read input: %w", err)
			in.failed.Store(&err)
			return
		}
		if len(lines) > 0 {
			it := client.Item{}
			if in.ids {
				it = idItem(string(lines[0]), seen)
			} else {
				it = in.item(n, lines, size)
			}
			if it.Index > 0 && !offer(it) {
				return
			}
		}
		if err != nil {
			have := n
			if len(lines) == 0 {
				have--
			}
			if in.log != nil && have < in.log.last {
				err = fmt.Errorf("--resume: the input ends at %d, but the joblog has input %d: %w", have, in.log.last, errOtherRun)
				in.failed.Store(&err)
			}
			in.exhausted.Store(true)
			return
		}
	}
}

// sleep waits for d, and returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// idItem returns the item of an id. It has no index if the line is empty or a repeat.
func idItem(line string, seen map[string]bool) client.Item {
	id := strings.TrimSpace(line)
	if id == "" || seen[id] {
		return client.Item{}
	}
	seen[id] = true
	it := client.Item{Index: len(seen), Payload: []byte(id)}
	if !task.ValidID(id) || strings.Contains(id, "/") {
		it.Err = fmt.Errorf("this is no task's id")
	}
	return it
}

// item makes a task of lines.
func (in *input) item(number int, lines [][]byte, size int64) client.Item {
	it := client.Item{Index: number, Payload: bytes.Join(lines, []byte("\n"))}
	if size > client.MaxPayload {
		it.Err = client.TooLarge(size)
		return it
	}
	if in.command == nil {
		return it
	}
	line, err := in.command.line(number, lines)
	if err == nil && len(line) > client.MaxPayload {
		err = client.TooLarge(int64(len(line)))
	}
	if it.Err = err; err == nil {
		it.Input, it.Payload = it.Payload, []byte(line)
	}
	return it
}

// source returns the next line and its size in bytes; of a line that is too large, the
// beginning. At the end the error is io.EOF, perhaps with a last line.
type source func() (line []byte, size int64, err error)

// lines returns the source of the input.
func (in *input) lines() source {
	if in.from != nil {
		r := bufio.NewReaderSize(in.from, 64<<10)
		return func() ([]byte, int64, error) { return record(r, in.ending(), client.MaxPayload) }
	}
	args := in.args
	return func() ([]byte, int64, error) {
		if len(args) == 0 {
			return nil, 0, io.EOF
		}
		line := args[0]
		args = args[1:]
		return []byte(line), int64(len(line)), nil
	}
}

// group returns the next lines, up to most, and their total size. Of lines that are too
// large it returns the beginning.
func group(next source, most int) (lines [][]byte, size int64, err error) {
	for len(lines) < most {
		line, n, err := next()
		if err != nil && (err != io.EOF || n == 0) {
			return lines, size, err
		}
		if len(lines) > 0 {
			n++ // the newline between lines
		}
		size += n
		if len(lines) > 0 && size > client.MaxPayload {
			line = nil
		}
		lines = append(lines, line)
		if err != nil {
			return lines, size, err
		}
	}
	return lines, size, nil
}

// record reads up to the next end byte, and drops that byte. Of a record larger than most it
// keeps the beginning; size is that of the whole record. At the end of the input the error
// is io.EOF, also after a last record without an end byte.
func record(r *bufio.Reader, end byte, most int) (kept []byte, size int64, err error) {
	for {
		part, err := r.ReadSlice(end)
		if err == nil {
			part = part[:len(part)-1]
		}
		size += int64(len(part))
		kept = append(kept, part[:min(len(part), max(0, most-len(kept)))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return kept, size, err
		}
	}
}
