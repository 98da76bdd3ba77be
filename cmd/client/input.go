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

	from io.ReadCloser     // set by open, unless there are args
	rest *io.SectionReader // the same, where it can be read twice

	taken     atomic.Int64          // items that were sent
	ended     atomic.Bool           // no more are sent
	exhausted atomic.Bool           // because there are no more
	failed    atomic.Pointer[error] // why it could not be read to its end
	counted   atomic.Int64          // items in rest; 0 until they are counted
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

func (in *input) open(stdin *os.File) error {
	switch {
	case len(in.args) > 0 && in.file != "":
		return fmt.Errorf("PAYLOAD and --file: give one of them")
	case len(in.args) > 0:
	case in.file != "" && in.file != "-":
		f, err := os.Open(in.file)
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		if isDir(f) {
			return fmt.Errorf("--file: %s is a directory", in.file)
		}
		in.read(f)
	case in.ids && term.IsTerminal(int(stdin.Fd())):
		return fmt.Errorf("ID is missing: give at least one, or lines of them on standard input")
	case in.file == "" && term.IsTerminal(int(stdin.Fd())):
		return fmt.Errorf("PAYLOAD is missing: give at least one, or lines by --file or on standard input")
	case isDir(stdin):
		return fmt.Errorf("standard input is a directory: give a file, or arguments")
	default:
		in.read(stdin)
	}
	return nil
}

func (in *input) read(f *os.File) {
	in.from = f
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if at, err := f.Seek(0, io.SeekCurrent); err == nil {
			in.rest = io.NewSectionReader(f, at, info.Size()-at)
		}
	}
}

// sizes tells how many items were sent, and how many there are; 0 if that is not
// known yet.
func (in *input) sizes() (taken, total int) {
	ended := in.ended.Load()
	taken = int(in.taken.Load())
	switch counted := int(in.counted.Load()); {
	case ended:
		return taken, taken
	case len(in.args) > 0:
		return taken, len(in.args)
	case counted > 0:
		return taken, max(taken, counted)
	}
	return taken, 0
}

// count counts the items beforehand, where the input can be read twice. Ids that are
// repeated are counted, until all are read.
func (in *input) count(ctx context.Context) {
	if in.rest == nil {
		return
	}
	r := bufio.NewReaderSize(in.rest, 64<<10)
	for n := int64(0); ctx.Err() == nil; {
		_, size, err := record(r, in.ending(), 0)
		if size > 0 || err == nil && !in.ids {
			n++
		}
		switch {
		case err == io.EOF:
			in.counted.Store(n)
			return
		case err != nil:
			return // so will the reader's be
		}
	}
}

// ending is what each payload ends with.
func (in *input) ending() byte {
	if in.nul {
		return 0
	}
	return '\n'
}

func isDir(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.IsDir()
}

// failure is why the input could not be read to its end; nil if it could.
func (in *input) failure() error {
	if err := in.failed.Load(); err != nil {
		return fmt.Errorf("read input: %w", *err)
	}
	return nil
}

// items sends the payloads until there are no more, or they cannot be read on, and
// closes: see failure. A read that blocks is left alone when ctx ends.
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
			in.exhausted.Store(true)
		}()
		return out
	}
	go func() { // ends with ctx, or when a read returns
		defer close(out)
		defer in.ended.Store(true)
		defer in.from.Close()
		r := bufio.NewReaderSize(in.from, 64<<10)
		for i := 1; ; i++ {
			payload, size, err := record(r, in.ending(), client.MaxPayload)
			it := client.Item{Index: i, Payload: payload}
			switch {
			case err == io.EOF && size == 0:
				in.exhausted.Store(true)
				return
			case err != nil && err != io.EOF:
				in.failed.Store(&err)
				return
			case size > client.MaxPayload:
				it.Err = client.TooLarge(size)
			}
			if !send(it) {
				return
			}
			if err == io.EOF {
				in.exhausted.Store(true)
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
