package cmdtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// tab is a page in a real Chromium. The test fails if the page writes anything to its console.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex // guards the rest
	console  []string
	forgiven string
}

// pageOf returns the URL at which a program says that it serves HTTP.
func pageOf(c *harness.Child) string {
	_, url, _ := strings.Cut(c.Line(c.Stderr, "serving HTTP"), "address=")
	return url
}

// chromium is the browser of all tests of the package. Each page has cookies of its own.
var chromium struct {
	sync.Mutex
	ctx context.Context
}

func startChromium(t *testing.T) context.Context {
	t.Helper()
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.ctx != nil {
		return chromium.ctx
	}
	allocated, free := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.UserDataDir(zktest.Dir(t)))...)
	ctx, end := chromedp.NewContext(allocated)
	stop := func() {
		end()
		free()
	}
	if err := chromedp.Do(ctx); err != nil {
		stop()
		if errors.Is(err, exec.ErrNotFound) {
			t.Fatal("Chromium is missing: apt-get install chromium")
		}
		t.Fatalf("Chromium: %v", err)
	}
	zktest.AtEnd(t, func() {
		_ = chromedp.Cancel(ctx) // it waits for the browser's end
		stop()
	})
	chromium.ctx = ctx
	return ctx
}

// browse opens a page.
func browse(t *testing.T, url string, width, height int) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(startChromium(t), chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height))); err != nil { // not b.do: the tab lives as long as the context
		end()
		t.Fatalf("Chromium: %v", err)
	}
	messages := chromedp.Console(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			if b.forgiven == "" || !strings.Contains(m.String(), b.forgiven) {
				b.console = append(b.console, m.String())
			}
			b.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page reads\n%s", b.text("body"))
		}
		if err := chromedp.Cancel(ctx); err != nil {
			t.Error(err)
		}
		end()
		reading.Wait()
		if len(b.console) > 0 {
			t.Errorf("the page's console: %s", strings.Join(b.console, "; "))
		}
	})
	b.do(chromedp.Navigate(url))
	return b
}

// quiet fails the test if the page has written anything to its console so far.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.console) > 0 {
		b.t.Errorf("the page's console: %s", strings.Join(b.console, "; "))
	}
}

// forgive allows messages in the console that contain a text, also later ones.
func (b *tab) forgive(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgiven = text
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of an expression. It waits for a promise.
func eval[T any](b *tab, format string, args ...any) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](fmt.Sprintf(format, args...), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// text is that of an element as a person reads it.
func (b *tab) text(selector string) (s string) {
	b.t.Helper()
	return eval[string](b, "document.querySelector(%q)?.innerText ?? ''", selector)
}

// soon waits until an element has a text, as reads does, but within the page: to a millisecond.
func (b *tab) soon(selector, text string) {
	b.t.Helper()
	eval[bool](b, `new Promise((done) => {
		const look = () => document.querySelector(%q).innerText.includes(%q) && done(true);
		new MutationObserver(look).observe(document.querySelector(%[1]q), { subtree: true, childList: true, characterData: true });
		look();
	})`, selector, text)
}

// reads waits until an element has some texts.
func (b *tab) reads(selector string, texts ...string) (s string) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		s = b.text(selector)
		missing := ""
		for _, text := range texts {
			if !strings.Contains(s, text) {
				missing = text
			}
		}
		if missing == "" {
			return s
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s does not read %q:\n%s", selector, missing, s)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// dark has the browser prefer dark pages.
func (b *tab) dark() {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// charts waits until both charts are as wide as the elements around them.
func (b *tab) charts() {
	b.t.Helper()
	eventually(b.t, "the charts fit", func() (bool, string) {
		return eval[bool](b, `(() => {
			const all = [...document.querySelectorAll("svg")];
			return all.length === 2 && all.every((e) => e.viewBox.baseVal.width === e.parentElement.clientWidth);
		})()`), ""
	})
}

// unreadable lists the texts on a page that a person cannot read: a text that is cut, is wider than
// the window, overlaps another one in a chart, or has less contrast than WCAG's 4.5:1.
const unreadable = `(() => {
	const found = [], name = (e) => e.tagName + (e.id && "#" + e.id) + " " + JSON.stringify(e.textContent.slice(0, 60));
	const page = document.documentElement;
	if (page.scrollWidth > page.clientWidth) found.push("the page is " + (page.scrollWidth - page.clientWidth) + " px too wide");
	const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
	for (const e of document.querySelectorAll("body *"))
		if (e.id !== "told" && e.clientWidth > 0 && seen(e) && e.scrollWidth > e.clientWidth + 1) found.push("cut: " + name(e));
	for (const chart of document.querySelectorAll("svg")) {
		const texts = [...chart.querySelectorAll("text")], box = (e) => e.getBoundingClientRect();
		for (const [i, a] of texts.entries()) for (const b of texts.slice(i + 1)) {
			const p = box(a), q = box(b);
			if (p.left < q.right && q.left < p.right && p.top + 3 < q.bottom && q.top + 3 < p.bottom) found.push("over each other: " + name(a) + " " + name(b));
		}
	}
	const parse = (c) => c.match(/[\d.]+/g).map(Number);
	const light = (c) => [.2126, .7152, .0722].reduce((sum, f, i) => { const v = c[i] / 255; return sum + f * (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); }, 0);
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
	let texts = 0;
	for (const e of document.querySelectorAll("body *")) {
		if (!seen(e) || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		texts++;
		const style = getComputedStyle(e), [a, b] = [light(parse(e.ownerSVGElement ? style.fill : style.color)), light(behind(e))].sort((a, b) => b - a);
		const contrast = (a + .05) / (b + .05);
		if (contrast < 4.5) found.push("contrast " + contrast.toFixed(1) + ": " + name(e));
	}
	if (texts < 4) found.push("only " + texts + " texts");
	return found;
})()`

// shots names the variable with the folder for pictures.
const shots = "TASKKEEPER_SHOTS"

func pictured() bool { return os.Getenv(shots) != "" }

// shot fails the test if a text is unreadable. If $TASKKEEPER_SHOTS is set, it writes a picture of the
// whole page there.
func (b *tab) shot(name string) {
	b.t.Helper()
	for _, found := range eval[[]string](b, "%s", unreadable) {
		b.t.Errorf("%s: %s", name, found)
	}
	if !pictured() {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Getenv(shots), name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
