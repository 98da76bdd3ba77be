package command

import (
	"bytes"
	"fmt"
	"strings"
)

// maxStream is how many bytes of a stream are kept, besides a result.
const maxStream = 64 << 10

// leftOut is a line in place of the bytes that a stream lacks.
func leftOut(bytes int64) []byte { return fmt.Appendf(nil, "[... %d bytes left out]\n", bytes) }

// head keeps the first bytes written, and counts all.
type head struct {
	keep   int
	most   int64  // bytes that may be written
	giveUp func() // called when more are written
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

// beginning is the whole stream; or its beginning, and a line with the number of bytes left
// out.
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
	tailBytes = 4 << 10 // a person reads no more of an error
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

// last returns the last n bytes. cut is true if there were more.
func (t *tail) last(n int) (data []byte, cut bool) {
	data = t.data[max(0, len(t.data)-n):]
	return data, int64(len(data)) < t.size
}

// end is the whole stream; or a line with the number of bytes left out, and its end.
func (t *tail) end() []byte {
	if t.size <= maxStream {
		return t.data
	}
	kept, _ := t.last(maxStream - 64) // the mark is shorter
	return append(leftOut(t.size-int64(len(kept))), kept...)
}

// String is the last lines, with "…" in front if the first of them is cut.
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
