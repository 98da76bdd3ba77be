package command

import (
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// streams are a command's standard input, output and error.
type streams struct {
	theirs  []int    // what the command gets
	stdin   *os.File // nil: its input is empty
	out     [2]*os.File
	copying sync.WaitGroup
}

// atOnce is how many bytes any pipe accepts without a reader.
const atOnce = 4 << 10

func openStreams(fed bool) (s *streams, err error) {
	s = new(streams)
	open := func(n int) (ours *os.File) {
		var read, write int
		if err == nil {
			read, write, err = pipe()
		}
		if err != nil {
			return nil
		}
		mine, their := read, write
		if n == 0 {
			mine, their = write, read
		}
		s.theirs = append(s.theirs, their)
		_ = syscall.SetNonblock(mine, true)
		return os.NewFile(uintptr(mine), "command")
	}
	if fed {
		s.stdin = open(0)
	}
	s.out = [2]*os.File{open(1), open(2)}
	if err != nil {
		s.closeTheirs()
		s.close()
	}
	return s, err
}

// feed writes standard input. It does not block if the command does not read.
func (s *streams) feed(payload []byte) {
	if s.stdin == nil {
		return
	}
	write := func() {
		_, _ = s.stdin.Write(payload)
		s.stdin.Close()
	}
	if len(payload) <= atOnce {
		write()
		return
	}
	s.copying.Go(write)
}

// collect begins to read both outputs.
func (s *streams) collect(stdout, stderr io.Writer) {
	for i, w := range []io.Writer{stdout, stderr} {
		s.copying.Go(func() {
			buf := make([]byte, 4<<10)
			for {
				n, err := s.out[i].Read(buf)
				_, _ = w.Write(buf[:n])
				if err != nil {
					return
				}
				if n == len(buf) && n < 64<<10 {
					buf = make([]byte, 64<<10)
				}
			}
		})
	}
}

// heldOpen is how long finish waits for the streams of a command that has ended: a process
// that left the command's group may hold them open.
const heldOpen = time.Second

// finish waits until all output of the command is read, at most for heldOpen.
func (s *streams) finish() {
	if s.stdin != nil {
		s.stdin.Close()
	}
	end := time.Now().Add(heldOpen)
	for _, f := range s.out {
		_ = f.SetReadDeadline(end)
	}
	s.copying.Wait()
	s.close()
}

func (s *streams) closeTheirs() {
	for _, fd := range s.theirs {
		syscall.Close(fd)
	}
	s.theirs = nil
}

func (s *streams) close() {
	for _, f := range append(s.out[:], s.stdin) {
		_ = f.Close() // fails if f is nil
	}
}
