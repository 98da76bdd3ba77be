package web

import (
	"embed"
	"html/template"
	"net/http"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "templates/*.html"))

// render answers with one of the pages without a script.
func render(w http.ResponseWriter, status int, name string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = templates.ExecuteTemplate(w, name, data) // the reader may have gone
}

// refuse answers with a page that says why there is no task, or no table of tasks. A temporary
// error may be tried again.
func refuse(w http.ResponseWriter, of string, status int, why string) {
	again := status == http.StatusServiceUnavailable
	if again {
		w.Header().Set("Retry-After", "1")
	}
	render(w, status, "error.html", struct {
		Of, Status, Why string
		Again           bool
	}{of, http.StatusText(status), why, again})
}
