package cmdtest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

// page opens a program's page.
func (p watched) page(width, height int) *tab {
	p.t.Helper()
	return browse(p.t, "http://"+p.host+"/", width, height)
}

func TestPage(t *testing.T) {
	t.Parallel()
	start := newService(t)
	t.Run("shows_a_failover_within_a_second_and_a_lost_worker", func(t *testing.T) {
		svc := start(t)
		var masters []watched
		for range 3 {
			masters = append(masters, svc.watched("master"))
		}
		w := svc.worker("--slots", "4")
		svc.start("client", "run", "60", "60", "0.5", "0.5", "0.5", "x")
		b := masters[1].page(1280, 900)
		b.reads("#leadership", " leads, 2 backups behind it.")
		b.reads("#link", "live")
		b.reads("#view-note", "From the leader, ", fmt.Sprintf(":%d.", masters[0].Pid()))
		b.reads("#processes", " of 4 slots busy, version devel")
		if pictured() { // its charts are to show something
			for i := range 8 {
				svc.start("client", append([]string{"run"}, strings.Fields(strings.Repeat(" 0.5 0.2 0.3", 2+i%3))...)...).Exit(0)
			}
		}
		gone := svc.vanishes(svc.leads())
		masters[0].Kill()
		vanished := <-gone
		b.soon("#leadership", fmt.Sprintf(":%d leads, 1 backup behind it. Before it began, nobody led for ", masters[1].Pid()))
		took := time.Since(vanished)
		if text := b.text("#leadership"); !regexp.MustCompile(fmt.Sprintf(`nobody led for [1-4]\.\d s: .*:%d fell silent, and its session lasted [1-4]\.\d s more\.$`, masters[0].Pid())).MatchString(text) {
			t.Errorf("after %d was killed: %q", masters[0].Pid(), text)
		}
		t.Logf("the new leader is shown %d ms after ZooKeeper removed the old one's znode", took.Milliseconds())
		if took > time.Second {
			t.Errorf("it took %v", took)
		}
		b.reads("#candidates", "vanished")
		b.reads("#candidates", "↑ watches ", fmt.Sprintf(":%d", masters[1].Pid()))
		eventually(t, "the new leader shows its own view", func() (bool, string) {
			note := b.text("#view-note")
			return note == "", note
		})
		b.reads("#crew", "4 workers: 2 busy, 2 free")
		b.reads("#queues", "(default)")
		b.charts()
		b.shot("page-failover")
		held := svc.held()
		if len(held) != 2 {
			t.Fatalf("the workers have %q", held)
		}
		w.Kill()
		b.reads("#processes", append(held, fmt.Sprintf(":%d", w.Pid()), "is gone")...)
		b.reads("#records", "worker gone")
		b.reads("#crew", "No worker")
		b.reads("#queues", "none: start some")
		if text := b.text("body"); strings.Contains(text, "undefined") || strings.Contains(text, "NaN") {
			t.Error(text)
		}
		b.do(chromedp.EmulateViewport(390, 844))
		b.charts()
		b.shot("page-phone")
		b.dark()
		b.do(chromedp.EmulateViewport(1280, 900))
		b.charts()
		b.shot("page-dark")
	})
	t.Run("shows_what_stands_in_znodes_as_text", func(t *testing.T) {
		svc := start(t)
		m := svc.watched("master")
		const html = "<img src=x onerror=alert(1)>"
		b := m.page(1280, 900)
		b.reads("#link", "live")
		svc.manual.CreateSeq("/master/"+html+"-", "<script>alert(2)</script>\x1b]0;x\a\u202e")
		svc.manual.Create("/data/"+html+".t1", "<script>alert(3)</script>\x1b[2J")
		svc.manual.Create("/tasks/"+html+".t1", "pending")
		svc.manual.Create("/tasks/odd"+html, "<script>alert(4)</script>\x1b[2J")
		svc.manual.CreateEphemeral("/workers/"+html+".<b onclick=alert(5)>", "")
		b.reads("#candidates", html, `<script>alert(2)</script>\x1b]0;x\x07\u202e`)
		b.reads("#queues", html)
		b.reads("#processes", "<b onclick=alert(5)>", "queue "+html)
		b.reads("#records", "odd"+html)
		if n := eval[int](b, "document.querySelectorAll('img, b, [onclick], [onerror], script:not([src])').length"); n != 0 {
			t.Errorf("%d elements came from znodes", n)
		}
		if text := eval[string](b, "document.documentElement.textContent"); strings.ContainsAny(text, "\x1b\a\u202e") {
			t.Errorf("%q", text)
		}
		b.shot("hostile")
		for _, queue := range []string{"q\u202ex", `q\u202ex`} { // they read alike
			svc.manual.Create("/data/"+queue+".t", "")
			svc.manual.Create("/tasks/"+queue+".t", "pending")
		}
		rows := func() int { return eval[int](b, "document.querySelectorAll('#queues tr').length") }
		eventually(t, "two are not shown", func() (bool, string) { n := rows(); return n == 4, fmt.Sprint(n) })
		svc.manual.Create("/tasks/later.t", "pending")
		b.reads("#queues", "later") // a view later
		if n := rows(); n != 5 {
			t.Errorf("%d lines for 5 queues", n)
		}
	})
	t.Run("has_room_for_long_names_and_many_znodes", func(t *testing.T) {
		svc := start(t)
		m := svc.watched("master")
		b := m.page(1280, 900)
		b.reads("#link", "live")
		host := strings.Repeat("averylongnameofamachine", 4) + "-0"
		for i := range 4 {
			svc.manual.CreateSeq("/master/hand-", fmt.Sprintf("%s:%d", host, 4000+i))
		}
		for _, id := range []string{"a", "b", "gpu.a", "alongernameofaqueueofamachine.a", "alongernameofaqueueofamachine.b"} {
			svc.manual.Create("/data/"+id, "60")
			svc.manual.Create("/tasks/"+id, "pending")
		}
		for i := range 40 {
			queue := []string{"", "gpu.", "alongernameofaqueueofamachine."}[i%3]
			svc.manual.CreateEphemeral(fmt.Sprintf("/workers/%s%s%d:%d-%s", queue, host, i/4%5, 100+i/8, uuid.New()), "")
		}
		for i := range 30 {
			svc.manual.Create(fmt.Sprintf("/tasks/odd-%d", i), "a state that nobody knows")
		}
		b.reads("#crew", "40 workers: 5 busy, 35 free")
		b.reads("#records", "odd-0", "odd-29")
		b.reads("#queues", "alongernameofaqueueofamachine")
		b.reads("#candidates", ":4003")
		b.reads("#servers", "standalone")
		eval[bool](b, "document.querySelectorAll('details').forEach((e) => { e.open = true }) ?? true")
		if text := b.reads("#processes", "has a, for", "free"); regexp.MustCompile(`\d d `).MatchString(text) {
			t.Errorf("for days, already: %s", text)
		}
		for _, width := range []int64{1280, 800, 390} {
			b.do(chromedp.EmulateViewport(width, 900))
			b.charts()
			b.shot(fmt.Sprintf("many-%d", width))
		}
		b.dark()
		b.shot("many-390-dark")
	})
	t.Run("runs_no_script_but_its_own", func(t *testing.T) {
		svc := start(t)
		m := svc.watched("master")
		b := m.page(1280, 900)
		b.reads("#link", "live")
		b.quiet()
		b.forgive("Content Security Policy")
		for _, what := range []string{
			"const e = document.createElement('script'); e.textContent = 'window.came = 1'; document.body.append(e)",
			"const e = document.createElement('script'); e.src = 'data:text/javascript,window.came=1'; document.body.append(e)",
			"document.body.insertAdjacentHTML('beforeend', '<img src=x: onerror=\"window.came=1\">')",
			"const e = document.createElement('style'); e.textContent = 'body{display:none}'; document.body.append(e)",
			"fetch('http://127.0.0.1:1/').catch(() => 0)",
		} {
			refused := eval[bool](b, `new Promise((done) => {
				document.addEventListener("securitypolicyviolation", () => done(true), { once: true });
				setTimeout(() => done(false), 5000);
				%s;
			})`, what)
			if !refused || eval[bool](b, "window.came === 1 || getComputedStyle(document.body).display === 'none'") {
				t.Errorf("not refused: %s", what)
			}
		}
		for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/style.css": "text/css; charset=utf-8"} {
			r, _ := ask(t, "GET", "http://"+m.host+path)
			policy := strings.Split(r.Header.Get("Content-Security-Policy"), "; ")
			if r.StatusCode != 200 || r.Header.Get("Content-Type") != want || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
			}
			for _, directive := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
				if !slices.Contains(policy, directive) {
					t.Errorf("%s: no %s in %q", path, directive, policy)
				}
			}
		}
		for _, path := range []string{"/", "/events", "/page.js"} {
			if r, _ := ask(t, "POST", "http://"+m.host+path); r.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("POST %s: %d", path, r.StatusCode)
			}
		}
	})
	t.Run("works_behind_a_prefix", func(t *testing.T) {
		svc := start(t)
		m := svc.watched("master")
		b := browse(t, behindPrefix(t, "http://"+m.host+"/"), 1280, 900) // its console would tell of a request elsewhere
		b.reads("#link", "live")
		b.reads("#leadership", " leads, and there is no backup.")
		b.reads("#quorum", "")
		b.reads("#servers", "standalone")
		if radius := eval[string](b, "getComputedStyle(document.querySelector('section')).borderRadius"); radius != "8px" {
			t.Errorf("the style is not there: %s", radius)
		}
	})
	t.Run("comes_back_by_itself_with_its_master", func(t *testing.T) {
		svc := start(t)
		port := freePort(t)
		m := svc.master("--http", port)
		b := browse(t, "http://127.0.0.1:"+port+"/", 1280, 900)
		b.reads("#leadership", fmt.Sprintf(":%d leads", m.Pid()))
		b.quiet()
		b.forgive("net::ERR_")
		m.Kill()
		b.reads("#link", "this master does not answer; trying again")
		again := svc.master("--http", port)
		b.reads("#link", "live")
		b.reads("#leadership", fmt.Sprintf(":%d leads", again.Pid()))
		b.reads("#where", fmt.Sprintf(":%d,", again.Pid()))
	})
}

// leads returns the path of the leader's znode.
func (svc *service) leads() string {
	svc.t.Helper()
	names := svc.manual.Children("/master")
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(a[len(a)-10:], b[len(b)-10:]) })
	return "/master/" + names[0]
}

// vanishes returns a channel that receives the time at which a znode is deleted.
func (svc *service) vanishes(path string) <-chan time.Time {
	svc.t.Helper()
	_, root, _ := strings.Cut(svc.root, "/")
	_, _, event, err := svc.manual.Conn.GetW("/" + root + path)
	if err != nil {
		svc.t.Fatal(err)
	}
	at := make(chan time.Time, 1)
	go func() {
		<-event
		at <- time.Now()
	}()
	return at
}

// held returns the ids of the tasks in the workers' lists.
func (svc *service) held() (ids []string) {
	svc.t.Helper()
	for _, w := range svc.manual.Children("/workers") {
		list, _ := svc.manual.Get("/workers/" + w)
		ids = append(ids, strings.Fields(list)...)
	}
	return ids
}
