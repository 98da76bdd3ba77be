package command

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Split splits a command line into words by the quoting rules of POSIX. Nothing
// is expanded, so *, ~ and the like stand for themselves, and within double
// quotes $ and ` too: so a script for sh -c may stand there. What a shell would
// act upon without quotes, $HOME or |, is refused: silently taken as a word it
// would surprise.
func Split(line string) ([]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(line), "")
	if err != nil {
		var where syntax.ParseError
		if errors.As(err, &where) {
			return nil, fmt.Errorf("%q: %s, at byte %d", line, where.Text, where.Pos.Offset()+1)
		}
		return nil, fmt.Errorf("%q: %w", line, err)
	}
	if len(file.Stmts) == 0 {
		return nil, errors.New("the command is empty: give a program and its arguments")
	}
	call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
	if s := file.Stmts[0]; !ok || len(file.Stmts) > 1 || len(s.Redirs) > 0 || len(call.Assigns) > 0 ||
		s.Negated || s.Background || s.Semicolon.IsValid() {
		return nil, fmt.Errorf("%q is more than one program with its arguments: quote what is meant as it is, or use --shell", line)
	}
	var words []string
	for _, w := range call.Args {
		text, err := unquote(line, w)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		words = append(words, text)
	}
	return words, nil
}

func unquote(line string, w *syntax.Word) (string, error) {
	var text strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			text.WriteString(unescape(p.Value, ""))
		case *syntax.SglQuoted:
			text.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				if lit, ok := inner.(*syntax.Lit); ok {
					text.WriteString(unescape(lit.Value, "$`\"\\"))
				} else {
					text.WriteString(line[inner.Pos().Offset():inner.End().Offset()])
				}
			}
		default:
			return "", errExpansion(part)
		}
	}
	return text.String(), nil
}

func errExpansion(n syntax.Node) error {
	return fmt.Errorf("only a shell expands what begins at byte %d: put it between single quotes, or use --shell", n.Pos().Offset()+1)
}

// unescape drops each backslash that quotes the character behind it: any, or
// one of those given.
func unescape(s, only string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (only == "" || strings.IndexByte(only, s[i+1]) >= 0) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Shell returns the words that give a script to sh, with the payload as "$1" if
// it uses that, and else on standard input.
func Shell(script string) ([]string, error) {
	if strings.TrimSpace(script) == "" {
		return nil, errors.New("the script is empty: give what sh is to run")
	}
	if holds(script) {
		return nil, fmt.Errorf(`%q: in a script {} would make code of the payload: write "$1" there, with the quotes`, script)
	}
	uses, err := usesArguments(script)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", script, err)
	}
	words := []string{"sh", "-c", script, "sh"}
	if uses {
		words = append(words, placeholder)
	}
	return words, nil
}

// usesArguments tells whether a script expands $1, $@ or $* itself. What stands in
// single quotes is another program's, and in a function they are the function's.
func usesArguments(script string) (uses bool, err error) {
	// Of the shells, bash accepts the most.
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		var where syntax.ParseError
		if errors.As(err, &where) {
			return false, fmt.Errorf("%s, at byte %d", where.Text, where.Pos.Offset()+1)
		}
		return false, err
	}
	syntax.Walk(file, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.FuncDecl:
			return false
		case *syntax.ParamExp:
			uses = uses || n.Param != nil && (n.Param.Value == "1" || n.Param.Value == "@" || n.Param.Value == "*")
		case *syntax.WordIter: // for x; do
			uses = uses || !n.InPos.IsValid()
		}
		return true
	})
	return uses, nil
}
