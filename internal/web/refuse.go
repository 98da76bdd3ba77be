package web

import (
	_ "embed" // for error.html
	"html/template"
	"net/http"
)

//go:embed error.html
var errorHTML string

var errorTemplate = template.Must(template.New("error").Parse(errorHTML))

// refuse says, on a page like the others, why there is no task, or no table of tasks. What will
// pass may be tried again.
func refuse(w http.ResponseWriter, of string, status int, why string) {
	h := w.Header()
	again := status == http.StatusServiceUnavailable
	if again {
		h.Set("Retry-After", "1")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = errorTemplate.Execute(w, struct { // who reads it may have gone
		Of, Status, Why string
		Again           bool
	}{of, http.StatusText(status), why, again})
}
