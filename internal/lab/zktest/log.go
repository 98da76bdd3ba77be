package zktest

import (
	"bytes"
	"sync"
)

// Log keeps what a test's sessions log. Its methods may be called from any goroutine.
type Log struct {
	mu   sync.Mutex // guards the rest
	text bytes.Buffer
}

// Write takes more of it.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all of it so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
