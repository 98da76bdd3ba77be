package inspect

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"taskkeeper/internal/printable"
)

// Text is the size and the beginning of some bytes. Bytes that are not UTF-8 become U+FFFD.
type Text struct {
	Bytes     int    `json:"bytes"`
	Beginning string `json:"beginning"`
}

// beginning is how much of a payload, a result or a reason is kept, in bytes.
const beginning = 80

func newText(b []byte) Text {
	cut := b[:min(len(b), beginning)]
	for len(cut) < len(b) && len(cut) > beginning-utf8.UTFMax && !utf8.RuneStart(b[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	return Text{Bytes: len(b), Beginning: strings.ToValidUTF8(string(cut), "\uFFFD")}
}

// String is one line: plain if it is short and printable, else in quotes.
func (t Text) String() string {
	s := t.Beginning
	if s == "" || s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' || r == utf8.RuneError }) {
		s = inQuotes(s)
	}
	if t.Bytes > beginning {
		return s + "… (" + count(t.Bytes, "byte") + ")"
	}
	return s
}

var inQuote = strings.NewReplacer(`"`, `\"`, "\t", `\t`)

func inQuotes(s string) string { return `"` + inQuote.Replace(printable.Line(s)) + `"` }

// name is a znode's name or a candidate's text, fit for a line.
func name(s string) string { return newText([]byte(s)).String() }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func often(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// since is how long ago a time was; 0 if it seems to be in the future, as clocks may differ.
func since(now, then time.Time) time.Duration { return max(0, now.Sub(then)) }

// seconds are for JSON, to the millisecond.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000 // Seconds adds two fractions up
}

// age is a duration with about two digits that matter.
func age(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}
