package cli

import "testing"

// groff would print these characters as others, or not at all.
func TestRoffIsEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"-- {} 'a' \"b\":":    `\-\- {} \(aqa\(aq \(dqb\(dq:`,
		"`~^\\n*_<|$1%":       "\\(ga\\(ti\\(ha\\en*_<|$1%",
		".hidden a.b":         `\&.hidden a.b`,
		"'.PP'":               `\(aq.PP\(aq`,
		"host:port[,…][/dir]": `host:port[,...][/dir]`,
	} {
		if got := roffLine(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestManJoinsLinesAndEndsNoSentenceByChance(t *testing.T) {
	var p page
	p.text("One two. aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa\nThree (four.)\n\n  drawn  as\n     it is\n\n.Last\n")
	const want = `One two. aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa Three (four.)
.PP
.nf
drawn  as
   it is
.fi
.PP
\&.Last
`
	if p.String() != want {
		t.Errorf("got:\n%swant:\n%s", p.String(), want)
	}
	p.Reset()
	p.filled("aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa end. New")
	if want := "aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa end.\\&\nNew\n"; p.String() != want {
		t.Errorf("got %q", p.String())
	}
}
