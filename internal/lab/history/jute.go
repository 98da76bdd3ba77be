package history

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

var errShort = errors.New("it ends too early")

// jute takes ZooKeeper's serialisation apart: big-endian numbers, strings and
// buffers behind their length. After the first error it returns zero values.
// What it returns shares the input's memory.
type jute struct {
	rest []byte
	err  error
}

func (j *jute) take(n int) []byte {
	if j.err == nil && (n < 0 || n > len(j.rest)) {
		j.err = errShort
	}
	if j.err != nil {
		return nil
	}
	taken := j.rest[:n:n]
	j.rest = j.rest[n:]
	return taken
}

func (j *jute) bool() bool {
	b := j.take(1)
	return len(b) == 1 && b[0] != 0
}

func (j *jute) int() int32 {
	b := j.take(4)
	if b == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

func (j *jute) long() int64 {
	b := j.take(8)
	if b == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

// buffer reads bytes; the length -1 stands for none.
func (j *jute) buffer() []byte {
	n := j.int()
	if n == -1 {
		return nil
	}
	return j.take(int(n))
}

func (j *jute) string() string {
	b := j.buffer()
	if j.err == nil && !utf8.Valid(b) {
		j.err = errors.New("a string is no UTF-8")
	}
	return string(b)
}

// count reads the length of a vector whose elements have at least so many
// bytes each; the length -1 stands for no vector.
func (j *jute) count(least int) int {
	n := int(j.int())
	if n == -1 {
		return 0
	}
	if j.err == nil && (n < 0 || n > len(j.rest)/least) {
		j.err = errShort
	}
	if j.err != nil {
		return 0
	}
	return n
}

// skipACL reads over who may do what.
func (j *jute) skipACL() {
	for range j.count(12) {
		j.int()    // permissions
		j.string() // scheme
		j.string() // id
	}
}
