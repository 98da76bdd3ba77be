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

// input is the source of the lines that tasks are made of, or of the ids of tasks.
type input struct {
	ids     bool // they are ids: blanks around them, empty ones and repeats are dropped
	args    []string
	file    string        // "-" is standard input, as without file and args
	nul     bool          // each line ends with a NUL, not with a newline
	each    int           // lines a task; 0 = 1
	delay   time.Duration // between two tasks that are sent
	command *template     // makes a payload of lines; nil: the lines are the payload

	log     *joblog // tasks that earlier runs did are skipped; nil: no earlier run
	reprint bool    // send them nevertheless, to print their results again

	from io.ReadCloser     // set by open, unless there are args
	rest *io.SectionReader // the same, if it can be read twice

	taken         atomic.Int64          // items that were sent
	ended         atomic.Bool           // no more are sent
	exhausted     atomic.Bool           // because the input has ended
	skipped       atomic.Int64          // items that an earlier run did
	skippedFailed atomic.Int64          // those of them that failed
	failed        atomic.Pointer[error] // why the input could not be read to its end
	counted       atomic.Int64          // lines in rest; 0 until they are counted
}

// flags adds the flags that say where payloads come from.
func (in *input) flags(f *pflag.FlagSet) {
	f.StringVarP(&in.file, "file", "f", "", "Read the input from this `file`, one task a line; - is standard input.")
	f.BoolVarP(&in.nul, "null", "0", false, "Lines of input end with a NUL, not with a newline, as find -print0 writes them.")
	cli.VarP(f, &in.each, "max-args", "n", 1, "Make one task of each `number` of lines. The lines are its payload; in a command {} stands for all of them, each as a word.", cli.Int(1, 100_000))
}

// take is a command's Args: it opens the input, or says what is wrong with it.
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

// sizes returns how many items were sent, and how many there are; a total of 0 means that
// it is not known yet.
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

// tasks returns how many tasks a number of lines makes.
func (in *input) tasks(lines int) int {
	each := max(1, in.each)
	return (lines + each - 1) / each
}

// count counts the lines beforehand, if the input can be read twice. Repeated ids count
// too, until the input is read.
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
			return // the reader will meet the same error
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
