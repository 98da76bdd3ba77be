package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"taskkeeper/internal/client"
	"taskkeeper/internal/task"
)

// input says where the payloads come from, or the ids of tasks.
type input struct {
	ids  bool // they are ids: blanks around them, empty ones and repeats are dropped
	args []string
	file string // "-" is standard input, as is no file and no args
	nul  bool   // each ends with a NUL, not with a newline

	from io.ReadCloser // set by open, unless there are args

	taken atomic.Int64 // items that were sent
	ended atomic.Bool  // there are no more
}

// flags adds those that say where payloads come from.
func (in *input) flags(f *pflag.FlagSet) {
	f.StringVarP(&in.file, "file", "f", "", "Read the payloads from this `file`, one a line; - is standard input.")
	f.BoolVarP(&in.nul, "null", "0", false, "Payloads end with a NUL, not with a newline, as find -print0 has it.")
}

// take is a command's Args: it opens the input, or tells what is wrong with it.
func (in *input) take(_ *cobra.Command, args []string) error {
	in.args = args
	return in.open(os.Stdin)
}

func (in *input) open(stdin *os.File) (err error) {
	switch {
	case len(in.args) > 0 && in.file != "":
		return fmt.Errorf("PAYLOAD and --file: give one of them")
	case len(in.args) > 0:
	case in.file != "" && in.file != "-":
		if in.from, err = os.Open(in.file); err != nil {
			return fmt.Errorf("--file: %w", err)
		}
	case in.ids && term.IsTerminal(int(stdin.Fd())):
		return fmt.Errorf("ID is missing: give at least one, or lines of them on standard input")
	case in.file == "" && term.IsTerminal(int(stdin.Fd())):
		return fmt.Errorf("PAYLOAD is missing: give at least one, or lines by --file or on standard input")
	default:
		in.from = stdin
	}
	return nil
}

// items sends the payloads until there are no more, and closes. What cannot be
// read on is sent as the last error. A read that blocks is left alone when ctx
// ends.
func (in *input) items(ctx context.Context) <-chan client.Item {
	out := make(chan client.Item)
	seen := make(map[string]bool)
	send := func(it client.Item) bool {
		if in.ids && it.Err == nil {
			id := strings.TrimSpace(string(it.Payload))
			if id == "" || seen[id] {
				return true
			}
			seen[id] = true
			it.Index, it.Payload = len(seen), []byte(id)
			if !task.ValidID(id) || strings.Contains(id, "/") {
				it.Err = fmt.Errorf("this is no task's id")
			}
		}
		select {
		case out <- it:
			in.taken.Add(1)
			return true
		case <-ctx.Done():
			return false
		}
	}
	if len(in.args) > 0 {
		go func() { // ends with ctx
			defer close(out)
			defer in.ended.Store(true)
			for i, p := range in.args {
				if !send(client.Item{Index: i + 1, Payload: []byte(p)}) {
					return
				}
			}
		}()
		return out
	}
	end := byte('\n')
	if in.nul {
		end = 0
	}
	go func() { // ends with ctx, or when a read returns
		defer close(out)
		defer in.ended.Store(true)
		defer in.from.Close()
		r := bufio.NewReaderSize(in.from, 64<<10)
		for i := 1; ; i++ {
			payload, size, err := record(r, end, client.MaxPayload)
			it := client.Item{Index: i, Payload: payload}
			switch {
			case err == io.EOF && size == 0:
				return
			case err != nil && err != io.EOF:
				it.Err = fmt.Errorf("read input: %w", err)
				send(it)
				return
			case size > client.MaxPayload:
				it.Err = client.TooLarge(size)
			}
			if !send(it) || err == io.EOF {
				return
			}
		}
	}()
	return out
}

// record reads up to the next end, which is dropped. Of one that is larger than
// most it keeps the beginning only, and tells its size. At the end of the input
// the error is io.EOF, also behind a last record without an end.
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
