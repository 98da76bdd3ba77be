package main

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// quote writes a word so that a shell, and the worker's command.Split, reads exactly this
// word: as it is, or between single quotes. The first word of a command may mean something
// else without quotes: if, export, A=b.
func quote(word string, first bool) string {
	plain := word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") == ""
	if plain && first {
		plain = !strings.Contains(word, "=") && !syntax.IsKeyword(word) && !declares[word]
	}
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// declares are the commands that a shell parses in their own way.
var declares = map[string]bool{"declare": true, "export": true, "let": true, "local": true, "nameref": true, "readonly": true, "typeset": true}

// quoteAll is quote for the words of a command.
func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w, i == 0)
	}
	return strings.Join(quoted, " ")
}
