package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"taskkeeper/internal/cli"
)

// input says where the lines come from that tasks are made of, or the ids of tasks.
type input struct {
	ids     bool // they are ids: blanks around them, empty ones and repeats are dropped
	args    []string
	file    string        // "-" is standard input, as is no file and no args
	nul     bool          // each line ends with a NUL, not with a newline
	each    int           // lines a task; 0 = 1
	delay   time.Duration // between two tasks that are sent
	command *template     // makes a task's payload of them; nil: they are the payload

	log     *joblog // what earlier runs did is not done again; nil: there was none
	reprint bool    // but it is sent: its results are to be printed again

	from io.ReadCloser     // set by open, unless there are args
	rest *io.SectionReader // the same, where it can be read twice

	taken         atomic.Int64          // items that were sent
	ended         atomic.Bool           // no more are sent
	exhausted     atomic.Bool           // because there are no more
	skipped       atomic.Int64          // items that an earlier run did
	skippedFailed atomic.Int64          // those of them that failed
	failed        atomic.Pointer[error] // why it could not be read to its end
	counted       atomic.Int64          // lines in rest; 0 until they are counted
}

// flags adds those that say where payloads come from.
func (in *input) flags(f *pflag.FlagSet) {
	f.StringVarP(&in.file, "file", "f", "", "Read the input from this `file`, a task a line; - is standard input.")
	f.BoolVarP(&in.nul, "null", "0", false, "Lines of input end with a NUL, not with a newline, as find -print0 has it.")
	cli.VarP(f, &in.each, "max-args", "n", 1, "Make a task of each `number` of lines: its payload is these lines, or {} in a command stands for all of them, each a word.", cli.Int(1, 100_000))
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
	case in.command != nil && in.file == "" && term.IsTerminal(int(stdin.Fd())):
		return fmt.Errorf("the command has no input: give its lines by --file or on standard input")
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
		return taken, in.tasks(len(in.args)) - int(in.skipped.Load())
	case counted > 0:
		return taken, max(taken, in.tasks(counted)-int(in.skipped.Load()))
	}
	return taken, 0
}

// tasks is how many tasks so many lines make.
func (in *input) tasks(lines int) int {
	each := max(1, in.each)
	return (lines + each - 1) / each
}

// count counts the lines beforehand, where the input can be read twice. Ids that are
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
		return *err
	}
	return nil
}
