package command

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Shell returns a command that gives a script to sh. The payload is "$1" if the script uses
// that, and standard input if not.
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

// usesArguments reports whether a script itself expands $1, $@ or $*. Text in single quotes
// is for another program, and in a function they are the function's arguments.
func usesArguments(script string) (uses bool, err error) {
	// Of all shells bash accepts the most syntax.
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
