package task

import (
	"bytes"
	"strconv"
	"testing"
	"time"
)

// megabyte is about what a znode holds at most.
const megabyte = 1 << 20

// A part of a megabyte is parsed for comparison. A megabyte is 32 times as much: it takes 32
// times as long, or 1,024 times as long if the time grows with the square.
const part = 32

// FuzzParsersAreLinear gives each parser a megabyte that repeats a piece, numbered or not.
// No parser may take longer than 100 ms, unless it takes in proportion as long for a part:
// then the machine is slow.
func FuzzParsersAreLinear(f *testing.F) {
	for _, piece := range []string{"a\n", "\n", " ", "\t\r\n", "9", "\u2003", "\xff", "done\n"} {
		f.Add([]byte(piece), false, "pending ")
	}
	for _, piece := range []string{"\n", "a b\n", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n"} {
		f.Add([]byte(piece), true, "failed ")
	}
	f.Fuzz(func(t *testing.T, piece []byte, numbered bool, before string) {
		if len(piece) == 0 || len(before) > megabyte/20 {
			t.Skip()
		}
		large := []byte(before)
		for i := 0; len(large) < megabyte; i++ {
			if numbered {
				large = strconv.AppendInt(large, int64(i), 36)
			}
			large = append(large, piece...)
		}
		small := bytes.Clone(large[:megabyte/part])
		for name, parse := range map[string]func([]byte){
			"ParseList":  func(b []byte) { _, _ = ParseList(b) },
			"ParseState": func(b []byte) { _ = ParseState(b).Bytes() },
			"ParseName":  func(b []byte) { ParseName(string(b)) },
			"ValidID":    func(b []byte) { ValidID(string(b)) },
		} {
			began := time.Now()
			parse(large)
			if time.Since(began) < 100*time.Millisecond {
				continue
			}
			if took := least(parse, large); took > 100*time.Millisecond && took > 8*part*least(parse, small) {
				t.Errorf("%s takes %v for a megabyte of %.40q, and %v for a part", name, took, piece, least(parse, small))
			}
		}
	})
}

// least is the shortest time of ten runs.
func least(parse func([]byte), data []byte) time.Duration {
	shortest := time.Duration(1<<63 - 1)
	for range 10 { // a busy machine is in the way of some
		began := time.Now()
		parse(data)
		shortest = min(shortest, time.Since(began))
	}
	return shortest
}
