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

func TestTextIsOnePrintableLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                 "plain",
		"":                      `""`,
		" a":                    `" a"`,
		"a\tb\n\x1b[2J\u202e\"": `"a\tb\n\x1b[2J\u202e\""`,
	} {
		if got := newText([]byte(in)).String(); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
