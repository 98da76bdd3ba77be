package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s as one line: line ends are escaped too.
func Line(s string) string {
	if isASCII(s) || utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !fit(r) }) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case fit(r):
			b.WriteString(s[i : i+size])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// isASCII reports whether s has only printable ASCII characters.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Text returns s with its line ends kept and each line made printable. Every line
// but the first begins with indent, so that none looks like a line of ours.
func Text(s, indent string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = Line(line)
	}
	return strings.Join(lines, "\n"+indent)
}

// markSize is about the size of the mark for the bytes that were left out.
const markSize = 20

// Cut returns s if it has at most about size bytes, else about that many: its beginning and its
// end, and between them the number of bytes that were left out. The end of an error is often its
// cause.
func Cut(s string, size int) string {
	if len(s) <= size+markSize { // the mark would take as much as it saves
		return s
	}
	head, tail := size*2/3, len(s)-size/3
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return fmt.Sprintf("%s…[%d bytes]…%s", s[:head], tail-head, s[tail:])
}

func fit(r rune) bool {
	switch {
	case r == '\t':
		return true
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return false
	}
	return !unicode.Is(unicode.Bidi_Control, r)
}
