package command

import (
	"bytes"
	"fmt"
	"strings"
)

// maxStream is what is kept of a stream beside the result, in bytes.
const maxStream = 64 << 10

// leftOut stands, as a line, where bytes of a stream are missing.
func leftOut(bytes int64) []byte { return fmt.Appendf(nil, "[... %d bytes left out]\n", bytes) }

// head keeps the first bytes written, and counts all.
type head struct {
	keep   int
	most   int64  // when more are written, it is hopeless
	giveUp func() // called then
	data   []byte
	size   int64
}

func (h *head) Write(p []byte) (int, error) {
	if h.size <= h.most && h.size+int64(len(p)) > h.most {
		h.giveUp()
	}
	h.size += int64(len(p))
	h.data = append(h.data, p[:min(len(p), h.keep-len(h.data))]...)
	return len(p), nil
}

// beginning is all of it, or what comes first and a line that says what is left out.
func (h *head) beginning() []byte {
	if h.size <= maxStream {
		return h.data
	}
	kept := h.data[:maxStream-64] // the mark is shorter
	mark := leftOut(h.size - int64(len(kept)))
	if kept[len(kept)-1] != '\n' {
		mark = append([]byte("\n"), mark...)
	}
	return append(kept[:len(kept):len(kept)], mark...)
}

const (
	tailBytes = 4 << 10 // what a person reads of an error
	tailLines = 10
)

// tail keeps the last bytes written, and counts all.
type tail struct {
	data []byte
	size int64
}

func (t *tail) Write(p []byte) (int, error) {
	t.size += int64(len(p))
	t.data = append(t.data, p[max(0, len(p)-maxStream):]...)
	if extra := len(t.data) - maxStream; extra > maxStream { // rarely
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(p), nil
}

// last are the last n bytes.
func (t *tail) last(n int) (data []byte, cut bool) {
	data = t.data[max(0, len(t.data)-n):]
	return data, int64(len(data)) < t.size
}

// end is all of it, or a line that says what is left out and what comes last.
func (t *tail) end() []byte {
	if t.size <= maxStream {
		return t.data
	}
	kept, _ := t.last(maxStream - 64) // the mark is shorter
	return append(leftOut(t.size-int64(len(kept))), kept...)
}

// String is the last lines, whole or with a mark where they begin too early.
func (t *tail) String() string {
	data, cut := t.last(tailBytes)
	lines := bytes.Split(bytes.TrimRight(data, " \t\r\n"), []byte("\n"))
	if len(lines) > tailLines {
		lines, cut = lines[len(lines)-tailLines:], false
	}
	text := strings.ToValidUTF8(string(bytes.Join(lines, []byte("\n"))), "\uFFFD")
	if cut {
		text = "…" + text
	}
	return strings.TrimSpace(text)
}
