package history

import "errors"

var errShort = errors.New("ends too early")

// jute reads ZooKeeper's serialization: big-endian numbers, and strings and buffers behind
// their length. After the first error it returns zero values. The buffers that it returns
// share the memory of its input.
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

func (j *jute) number(size int) (n uint32) {
	for _, b := range j.take(size) {
		n = n<<8 | uint32(b)
	}
	return n
}

func (j *jute) int() int32 { return int32(j.number(4)) }

// buffer reads bytes. The length -1 stands for no buffer.
func (j *jute) buffer() []byte {
	n := j.int()
	if n == -1 {
		return nil
	}
	return j.take(int(n))
}

func (j *jute) string() string { return string(j.buffer()) }

// count reads the length of a vector. The length -1 stands for no vector.
func (j *jute) count() int {
	n := int(j.int())
	if n == -1 || j.err != nil {
		return 0
	}
	if n < 0 || n > len(j.rest) { // each element has one byte at least
		j.err = errShort
		return 0
	}
	return n
}

func (j *jute) skipACL() {
	for range j.count() {
		j.int()    // rights
		j.string() // scheme
		j.string() // id
	}
}
