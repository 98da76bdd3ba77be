package printable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// JSON returns v as a line of JSON in which all that a terminal acts upon is escaped:
// encoding/json leaves DEL, C1 and the bidi controls as they are.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	line := b.Bytes()
	if !bytes.ContainsFunc(line, unfit) {
		return line, nil
	}
	var escaped bytes.Buffer
	for len(line) > 0 { // only strings hold such characters
		r, size := utf8.DecodeRune(line)
		if unfit(r) {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.Write(line[:size])
		}
		line = line[size:]
	}
	return escaped.Bytes(), nil
}

// unfit reports whether a rune must be escaped; the newline at the end must not.
func unfit(r rune) bool { return r != '\n' && !fit(r) }
