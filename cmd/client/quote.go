package main

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// quote writes a word so that a shell, and the worker's command.Split, reads exactly this
// word: as it is, or between single quotes. The first word of a command, or any word in a
// script, may mean something else without quotes: if, A=b, 2>file.
func quote(word string, first bool) string {
	plain := word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") == ""
	if plain && first {
		plain = !strings.Contains(word, "=") && !syntax.IsKeyword(word) && strings.Trim(word, "0123456789") != ""
	}
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// quoteAll is quote for the words of a command.
func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w, i == 0)
	}
	return strings.Join(quoted, " ")
}
