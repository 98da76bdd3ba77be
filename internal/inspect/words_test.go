package inspect

import (
	"regexp"
	"testing"
	"time"

	"taskkeeper/internal/printable"
)

func TestSecondsHaveNoMoreThanThreeDecimals(t *testing.T) {
	short := regexp.MustCompile(`^\d+(\.\d{1,3})?\n$`)
	for ms := range 100_000 {
		if got, err := printable.JSON(seconds(time.Duration(ms) * time.Millisecond)); err != nil || !short.Match(got) {
			t.Fatalf("%d ms: %s, %v", ms, got, err)
		}
	}
}
