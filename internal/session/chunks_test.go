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
		{"at most 32, for the next ones may be large", 10, 0, []int{32, 32}},
		{"ever more of small ones after large ones", 10, 8, []int{8, 16, 32}},
		{"ever fewer of large ones, down to 8", chunkBytes, 0, []int{32, 16, 8, 8}},
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
