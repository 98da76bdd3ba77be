package cmdtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"taskkeeper/internal/client"
	"taskkeeper/internal/lab/zktest"
)

// lacks waits until an element has none of some texts.
func (b *tab) lacks(selector string, texts ...string) {
	b.t.Helper()
	eventually(b.t, selector+" reads otherwise", func() (bool, string) {
		s := b.text(selector)
		return !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(s, text) }), s
	})
}

// opensTree opens the tree by the keyboard.
func (b *tab) opensTree() {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS("#tree > summary")), chromedp.KeyEvent(kb.Enter))
}

func TestPageTree(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "it shows payloads")
	start := newService(t)
	t.Run("shows_the_znodes_and_marks_what_changes", func(t *testing.T) {
		svc := start(t)
		svc.dirs()
		svc.manual.Create("/notes", "")
		for i := range 60 {
			svc.manual.Create(fmt.Sprintf("/notes/n%02d", i), "")
		}
		m := svc.master("--http", "0")
		m.Line(m.Stderr, " leader ")
		b := browse(t, behindPrefix(t, pageOf(m)), 1280, 900)
		b.reads("#link", "live")
		if text := b.text("#tree"); strings.TrimSpace(text) != "Tree" {
			t.Errorf("closed, it reads %q", text)
		}
		b.opensTree()
		b.reads("#tree-dirs", "/master", "Who runs for leader.", "/workers", "/tasks", "/data", "/drain", "/members", "ephemeral")
		b.reads("#tree-note", "Below "+svc.chroot()+", read once a second.")
		name := "t\u202e " + strings.ReplaceAll(injection, "/", "")
		svc.manual.Create("/tasks/"+name, "banana \x1b[2J"+injection)
		b.reads("#tree-dirs", `t\u202e <script>`, "created", `banana \x1b[2J<script>`)
		b.shot("tree")
		svc.manual.Set("/tasks/"+name, "banana 2")
		b.reads("#tree-dirs", "written", "banana 2", "version 1")
		b.harmless()
		svc.manual.Delete("/tasks/" + name)
		b.reads("#tree-dirs", "deleted")
		b.lacks("#tree-dirs", "deleted", "banana 2")

		b.reads("#tree-dirs", "/notes")
		eval[any](b, `[...document.querySelectorAll("#tree-dirs summary")].at(-1).click() ?? null`)
		b.reads("#tree-dirs", "Made by a person: no program of this service uses it.", "60 children", "n49", "and 10 more")
		if text := b.text("#tree-dirs"); strings.Contains(text, "n50") {
			t.Error("it shows more than 50 children")
		}
		svc.manual.Create("/data/big", strings.Repeat("x", client.MaxPayload))
		b.reads("#tree-dirs", fmt.Sprintf("%d bytes: they are not read for the tree", client.MaxPayload))
		b.do(chromedp.EmulateViewport(390, 844))
		b.shot("tree-phone")
		b.dark()
		b.shot("tree-dark")
		if text := b.text("body"); strings.Contains(text, "undefined") || strings.Contains(text, "NaN") {
			t.Errorf("%s", text)
		}
	})
}

func TestPageShowsNoPayloadWhereThereIsAPolicy(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallation(t)
	inst.close()
	m := inst.as("master", "master", "--http", "0")
	m.Line(m.Stderr, " leader ")
	page := pageOf(m)
	id := inst.submit("a secret")
	b := browse(t, page, 1280, 900)
	b.opensTree()
	b.reads("#tree-dirs", id, "pending", "a payload: it is not shown under a policy", "viewer  x509:CN=tk-viewer")
	b.do(chromedp.Navigate(page + "task?id=" + id))
	b.reads("#known", "there is no worker: start one", "payloads are not read under a policy")
	hides := func() {
		t.Helper()
		if text := b.text("body"); strings.Contains(text, "secret") {
			t.Errorf("it shows the payload:\n%s", text)
		}
	}
	hides()
	b.do(chromedp.Navigate(page + "tasks?text=none")) // it is not looked for
	b.reads("#found", id, "pending", "a payload: it is not shown under a policy")
	b.lacks("#h-found", "searched")
	hides()
}

func TestPageReadsWithACertificateOfItsOwn(t *testing.T) {
	t.Parallel()
	zktest.OpenOnly(t, "its servers and its policy are its own")
	inst := newInstallation(t)
	inst.close()
	id := inst.submit("a secret")
	for who, may := range map[string]bool{"viewer": false, "admin": true} {
		t.Run(who, func(t *testing.T) {
			files := inst.server.Identity(who)
			m := inst.as("master", "master", "--http", "0", "--page-cert", files.Cert, "--page-key", files.Key)
			m.Line(m.Stderr, " leader ")
			page := pageOf(m)
			b := browse(t, page, 1280, 900)
			want := "may not be read"
			if may {
				want = "a secret"
			}
			b.opensTree()
			b.reads("#tree-dirs", id, "pending", want)
			for address, into := range map[string]string{"task?id=" + id: "#known", "tasks": "#found"} {
				b.do(chromedp.Navigate(page + address))
				b.reads(into, id)
				if text := b.text("body"); strings.Contains(text, "a secret") != may {
					t.Errorf("%s shows:\n%s", address, text)
				}
			}
			m.Signal(syscall.SIGTERM)
			m.Exit(0)
		})
	}
	viewer, other := inst.server.Identity("viewer"), inst.server.Identity("admin")
	for args, want := range map[string]string{
		"--http 0 --page-cert " + viewer.Cert:                                "2 master: --page-cert and --page-key belong together: give both",
		"--page-cert " + viewer.Cert + " --page-key " + viewer.Key:           "2 master: --page-cert and --page-key need --http, which says where to serve",
		"--http 0 --page-cert " + viewer.Cert + " --page-key " + other.Key:   "1 master: --page-key " + other.Key + ": ",
		"--http 0 --page-cert " + viewer.Cert + "x --page-key " + viewer.Key: "1 master: --page-cert " + viewer.Cert + "x: there is no such file",
	} {
		p := inst.as("master", "master", strings.Fields(args)...)
		status, line, _ := strings.Cut(want, " ")
		n, _ := strconv.Atoi(status)
		p.Exit(n)
		if got := p.Stderr.String(); !strings.HasPrefix(got, line) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, want %q", args, got, line)
		}
	}
}
