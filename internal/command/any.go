package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"syscall"
)

// The exit statuses of a shell for a command that it cannot execute.
const (
	exitNotExecutable = "126"
	exitNotFound      = "127"
)

// parseLine parses a payload as a command line: see Config.Any. If it fails, the task fails,
// with that exit status.
func parseLine(payload []byte) (path string, words []string, status string, err error) {
	if bytes.IndexByte(payload, 0) >= 0 {
		return "", nil, "", errors.New("the command line holds a zero byte")
	}
	words, err = split(string(payload))
	if err != nil {
		return "", nil, "", fmt.Errorf("the command line %.200q: %w", payload, err)
	}
	if path, err = lookPath(words[0]); err != nil {
		return "", nil, exitOf(err), err
	}
	return path, words, "", nil
}

func exitOf(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return exitNotFound
	}
	return exitNotExecutable
}

// isWorkersFault reports whether another worker, or this one later, may be able to execute
// the program that the task names.
func isWorkersFault(err error) bool {
	return slices.ContainsFunc([]error{
		syscall.ETXTBSY, syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE,
	}, func(fault error) bool { return errors.Is(err, fault) })
}
