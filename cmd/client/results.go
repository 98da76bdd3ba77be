package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"taskkeeper/internal/client"
	"taskkeeper/internal/task"
)

// results is the directory that keeps the outcomes of tasks: SEQ/stdout, SEQ/stderr,
// SEQ/reason of a failure, and SEQ/exit, written last. A task without exit has no results.
type results string

func openResults(dir string) (results, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("--results: %w", err)
	}
	return results(dir), nil
}

func (r results) path(seq int, name string) string {
	return filepath.Join(string(r), strconv.Itoa(seq), name)
}

// store keeps an outcome. It may be called concurrently, for different tasks.
func (r results) store(o client.Outcome) error {
	if err := os.MkdirAll(r.path(o.Index, ""), 0o777); err != nil {
		return fmt.Errorf("--results: %w", err)
	}
	for _, name := range []string{"exit", "reason"} { // of an earlier run
		if err := os.Remove(r.path(o.Index, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--results: %w", err)
		}
	}
	status, signal := exitOf(o)
	exit := strconv.Itoa(status)
	if signal != 0 {
		exit = unix.SignalName(unix.Signal(signal))
	}
	files := []struct {
		name string
		text []byte
	}{{"stdout", output(o)}, {"stderr", o.State.Stderr}, {"reason", []byte(reason(o))}, {"exit", []byte(exit + "\n")}}
	for _, f := range files {
		if f.name == "reason" && !isFailure(o) {
			continue
		}
		if err := r.write(o.Index, f.name, f.text); err != nil {
			return fmt.Errorf("--results: %w", err)
		}
	}
	return nil
}

// write writes a file atomically.
func (r results) write(seq int, name string, text []byte) error {
	path, temporary := r.path(seq, name), r.path(seq, "."+name+".part")
	if err := os.WriteFile(temporary, text, 0o666); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// load returns the outcome that an earlier run kept, if all its files are there. asks are
// the facts of the submission.
func (r results) load(it client.Item, past logged, asks task.Facts) (o client.Outcome, ok bool) {
	o.Item = it
	exit, err := os.ReadFile(r.path(it.Index, "exit"))
	if err != nil || !bytes.HasSuffix(exit, []byte("\n")) {
		return o, false
	}
	stdout, err := os.ReadFile(r.path(it.Index, "stdout"))
	if err != nil || len(stdout) != past.receive {
		return o, false
	}
	stderr, err := os.ReadFile(r.path(it.Index, "stderr"))
	if err != nil {
		return o, false
	}
	o.State = task.NewDone(stdout)
	if past.failed {
		why, err := os.ReadFile(r.path(it.Index, "reason"))
		if err != nil {
			return o, false
		}
		o.State = task.NewFailed(string(why))
		o.State.Stdout = stdout
	}
	o.State.Facts = task.Executed{Exit: string(exit)}.Facts(asks)
	o.State.Stderr = stderr
	return o, true
}
