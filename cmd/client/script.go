package main

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// mark stands for a placeholder while a script is parsed.
const mark = "TASKKEEPERLINE"

// checkScript fails if a placeholder of a script stands within quotes, a here-document,
// backquotes, an expansion or a comment: there the quotes of its value would be text, and
// the value could become code.
func checkScript(script word) error {
	if slices.ContainsFunc(script.texts, func(s string) bool { return strings.Contains(s, mark) }) {
		return fmt.Errorf("the script behind -- holds %s, which marks placeholders: write it in another way", mark)
	}
	text := script.fill(func(string) string { return mark })
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(text), "")
	if err != nil {
		return fmt.Errorf("the script behind -- : %w", err)
	}
	safe := 0
	var within []syntax.Node
	syntax.Walk(file, func(node syntax.Node) bool {
		if node == nil {
			within = within[:len(within)-1]
			return true
		}
		if lit, ok := node.(*syntax.Lit); ok && isPlainPlace(within) {
			safe += unescapedMarks(lit.Value)
		}
		within = append(within, node)
		return true
	})
	if safe < len(script.holes) {
		return fmt.Errorf("a placeholder stands within quotes, an arithmetic expression, a here-document or the like, where its value could become code: "+
			"put it outside, as in %s, or set a variable: %s", `"$HOME"/{}`, `i={}; echo $((i%4))`)
	}
	return nil
}

// unescapedMarks counts the marks without a backslash before them: a backslash would escape
// the quote of the value.
func unescapedMarks(text string) (n int) {
	parts := strings.Split(text, mark)
	for _, before := range parts[:len(parts)-1] {
		if backslashes := len(before) - len(strings.TrimRight(before, `\`)); backslashes%2 == 0 {
			n++
		}
	}
	return n
}

// isPlainPlace reports whether a shell reads a word within these nodes as it is, except quotes.
func isPlainPlace(within []syntax.Node) bool {
	for i, node := range within {
		switch n := node.(type) {
		case *syntax.File, *syntax.Stmt, *syntax.CallExpr, *syntax.Word, *syntax.Assign, *syntax.BinaryCmd, *syntax.Block, *syntax.Subshell,
			*syntax.IfClause, *syntax.WhileClause, *syntax.ForClause, *syntax.WordIter, *syntax.CaseClause, *syntax.CaseItem:
		case *syntax.Redirect:
			if n.Hdoc != nil && i+1 < len(within) && within[i+1] == syntax.Node(n.Hdoc) {
				return false
			}
		case *syntax.CmdSubst:
			if n.Backquotes {
				return false
			}
		default:
			return false
		}
	}
	return true
}
