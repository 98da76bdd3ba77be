package main

import (
	"bufio"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/client"
)

// syncEvery is the least time between two syncs of the joblog to the disk. A killed client
// loses no line; a machine that dies may lose the lines since the last sync.
const syncEvery = time.Second

// joblog is the file that lists the ended tasks. One process at a time can open it.
type joblog struct {
	// Fixed by openJoblog.
	file  *os.File
	again bool           // tasks that failed in earlier runs are done again
	past  map[int]logged // by Seq, what earlier runs did
	last  int            // the largest Seq of them
	seed  maphash.Seed

	synced time.Time // owned by the caller of add
}

// logged is what is known of a task that ended in an earlier run.
type logged struct {
	failed  bool
	send    int // 0: GNU parallel wrote the line, without this number
	receive int
	command uint64 // a hash: there may be millions
}

// openJoblog opens or creates the file. Without resume a file that is not empty is refused.
// A last line without a newline was cut off, and is dropped.
func openJoblog(path string, resume, again bool) (_ *joblog, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("--joblog: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("--joblog: %s: %w", path, err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("--joblog: %s is in use by another run", path)
	case err != nil:
		return nil, fmt.Errorf("--joblog: lock %s: %w", path, err)
	}
	if info, err = f.Stat(); err == nil && info.Size() > 0 && !resume { // after the lock
		err = errors.New("is not empty: add --resume to go on with that run, or remove the file")
	}
	if err != nil {
		return nil, fmt.Errorf("--joblog: %s: %w", path, err)
	}
	l := &joblog{file: f, again: again, past: make(map[int]logged), seed: maphash.MakeSeed()}
	whole, err := l.read(f)
	if err != nil {
		return nil, fmt.Errorf("--joblog: %s: %w", path, err)
	}
	if err := f.Truncate(whole); err != nil {
		return nil, fmt.Errorf("--joblog: %w", err)
	}
	if whole == 0 {
		if _, err := f.WriteString(joblogHeader + "\n"); err != nil {
			return nil, fmt.Errorf("--joblog: %w", err)
		}
	}
	return l, nil
}

var errNoJoblog = errors.New("is no joblog: its first line is not the header")

// read reads the lines of earlier runs, and returns how many bytes are whole lines.
func (l *joblog) read(f io.Reader) (whole int64, err error) {
	r := bufio.NewReaderSize(f, 64<<10)
	for n := 1; ; n++ {
		text, err := r.ReadString('\n')
		if err == io.EOF && n == 1 && !strings.HasPrefix(joblogHeader, text) {
			return whole, errNoJoblog
		}
		if err == io.EOF {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		whole += int64(len(text))
		text = strings.TrimSuffix(text, "\n")
		if n == 1 {
			if text != joblogHeader {
				return whole, errNoJoblog
			}
			continue
		}
		e, err := parseEntry(text)
		if err != nil {
			return whole, fmt.Errorf("line %d %w", n, err)
		}
		l.past[e.seq] = logged{failed: e.failed(), send: e.send, receive: e.receive, command: maphash.String(l.seed, e.command)}
		l.last = max(l.last, e.seq)
	}
}

// errOtherRun means that a joblog and the input do not belong together.
var errOtherRun = errors.New("it is of another run")

// did reports whether an earlier run did a task, so that this run skips it. It fails if the
// joblog has another task at this index.
func (l *joblog) did(it client.Item) (logged, bool, error) {
	past, ok := l.past[it.Index]
	if ok && (past.send > 0 && past.send != len(it.Payload) || past.command != maphash.String(l.seed, inOneLine(it.Payload))) {
		return past, false, fmt.Errorf("--resume: input %d is %.80q, and the joblog has something else for it: %w", it.Index, inOneLine(it.Payload), errOtherRun)
	}
	return past, ok && !(past.failed && l.again), nil
}

// add appends a task that has ended, in one write.
func (l *joblog) add(e entry) error {
	if _, err := l.file.WriteString(e.String() + "\n"); err != nil {
		return fmt.Errorf("--joblog: %w", err)
	}
	if time.Since(l.synced) < syncEvery {
		return nil
	}
	l.synced = time.Now()
	return l.sync()
}

func (l *joblog) sync() error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("--joblog: %w", err)
	}
	return nil
}

// close may be called on nil.
func (l *joblog) close() error {
	if l == nil {
		return nil
	}
	return errors.Join(l.sync(), l.file.Close())
}
