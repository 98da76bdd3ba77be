package session

import (
	"fmt"
	"slices"
	"testing"
)

func TestChunks(t *testing.T) {
	var ids []string
	for i := range 2 * mostChunk {
		ids = append(ids, fmt.Sprint(i))
	}
	for _, tt := range []struct {
		name   string
		each   int // how large a znode is, in bytes
		before int
		want   []int // the first chunks
	}{
		{"ever more of what is small", 10, 0, []int{16, 32, 64, 128, 256}},
		{"ever less of what is large, down to some", chunkBytes, 64, []int{64, 32, 16, 16, 16}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Chunks{size: tt.before}
			var sizes []int
			var got []string
			read := func(ids []string) []Read {
				sizes = append(sizes, len(ids))
				return slices.Repeat([]Read{{Data: make([]byte, tt.each)}}, len(ids))
			}
			err := c.Read(ids, read, func(id string, _ Read) error {
				got = append(got, id)
				return nil
			})
			if err != nil || !slices.Equal(got, ids) {
				t.Errorf("%v; read %q", err, got)
			}
			if !slices.Equal(sizes[:len(tt.want)], tt.want) {
				t.Errorf("chunks of %v", sizes)
			}
		})
	}
}
