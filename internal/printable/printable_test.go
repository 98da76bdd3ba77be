package printable

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "näive\t日本 👩‍💻 \\x1b \uFFFD", "näive\t日本 👩‍💻 \\x1b \uFFFD"},
		{"an escape sequence is written out", "\x1b]52;c;AAAA\a", `\x1b]52;c;AAAA\x07`},
		{"line ends are written out", "a\nb\r\nc\u2028d", `a\nb\r\nc\u2028d`},
		{"C1 controls and DEL are written out", "\u009b31m\x7f", `\u009b31m\x7f`},
		{"what changes the direction is written out", "a\u202eb\u2066c\u200f", `a\u202eb\u2066c\u200f`},
		{"bytes that are no UTF-8 are written out", "\xff\x9bm", `\xff\x9bm`},
		{"empty text stays empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Line(c.in); got != c.want {
				t.Errorf("Line(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestTextKeepsItsLinesAndIndentsThem(t *testing.T) {
	if got, want := Text("a\x1b\r\nclient: 0 of 0 tasks failed\rb", "  "), "a\\x1b\n  client: 0 of 0 tasks failed\\rb"; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		name, in string
		size     int
		want     string
	}{
		{"what fits stays", "abcdef", 6, "abcdef"},
		{"what is a little longer stays too", strings.Repeat("x", 26), 6, strings.Repeat("x", 26)},
		{"beginning and end stay", "abcd" + strings.Repeat("x", 30) + "yz", 6, "abcd…[30 bytes]…yz"},
		{"no character is cut in two", strings.Repeat("äöü", 9), 6, "äö…[48 bytes]…ü"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Cut(c.in, c.size); got != c.want {
				t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.size, got, c.want)
			}
		})
	}
}

func TestJSONHasNoControlCharacters(t *testing.T) {
	in := map[string]any{"a<": "\x1b\n\u009b\x7f\u202e\u2028 日本\t", "b": 1.5}
	got, err := JSON(in)
	if want := `{"a<":"\u001b\n\u009b\u007f\u202e\u2028 日本\t","b":1.5}` + "\n"; err != nil || string(got) != want {
		t.Errorf("JSON = %s, %v, want %s", got, err, want)
	}
	var back map[string]any
	if err := json.Unmarshal(got, &back); err != nil || !maps.Equal(back, in) {
		t.Errorf("JSON is parsed as %q, %v", back, err)
	}
	if _, err := JSON(func() {}); err == nil {
		t.Error("no error")
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b\u202e\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		line := Line(s)
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool {
			return unicode.IsControl(r) && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
		}) {
			t.Errorf("Line(%q) = %q, which is not printable", s, line)
		}
		if Line(line) != line {
			t.Errorf("Line changes its own result %q", line)
		}
		if cut := Cut(s, 200); len(cut) > 240 && len(s) > 240 {
			t.Errorf("Cut left %d bytes of %d", len(cut), len(s))
		}
	})
}
