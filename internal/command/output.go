package command

import (
	"bytes"
	"strings"
)

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

const (
	tailBytes = 4 << 10 // what a person reads of an error
	tailLines = 10
)

// tail keeps the last bytes written.
type tail struct {
	data []byte
	cut  bool // there were more
}

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if extra := len(t.data) - tailBytes; extra > 0 {
		t.data, t.cut = append(t.data[:0], t.data[extra:]...), true
	}
	return len(p), nil
}

// String is the last lines, whole or with a mark where they begin too early.
func (t *tail) String() string {
	data, cut := t.data, t.cut
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
