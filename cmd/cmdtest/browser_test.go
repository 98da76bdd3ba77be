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
)

// tab is a page in a real Chromium. The test fails if the page tells its console anything.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex // guards console
	console []string
}

// browse opens a page.
func browse(t *testing.T, url string, width, height int) *tab {
	t.Helper()
	allocated, free := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.WindowSize(width, height), chromedp.UserDataDir(t.TempDir()))...)
	ctx, end := chromedp.NewContext(allocated)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		end()
		free()
		if errors.Is(err, exec.ErrNotFound) {
			t.Fatal("Chromium is missing: apt-get install chromium")
		}
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
			b.console = append(b.console, m.String())
			b.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page reads\n%s", b.text("body"))
		}
		if err := chromedp.Cancel(ctx); err != nil { // it waits for the browser's end
			t.Error(err)
		}
		end()
		free()
		reading.Wait()
		if len(b.console) > 0 {
			t.Errorf("the page's console: %s", strings.Join(b.console, "; "))
		}
	})
	b.do(chromedp.Navigate(url))
	return b
}

// quiet fails the test if the console has said anything so far.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.console) > 0 {
		b.t.Errorf("the page's console: %s", strings.Join(b.console, "; "))
	}
}

// forgive forgets what the console said so far, such as while the server was away.
func (b *tab) forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.console = nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval is the value of an expression, or of the promise that it is.
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

// soon is reads for one text, and looks within the page whenever it changes: to a millisecond.
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
		time.Sleep(20 * time.Millisecond)
	}
}

// dark has the page show itself as for a person who prefers that.
func (b *tab) dark() {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// shot takes a picture of the whole page, into $TASKKEEPER_SHOTS if that is set.
func (b *tab) shot(name string) {
	b.t.Helper()
	if wide := eval[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
		b.t.Errorf("%s: the page is %d px too wide", name, wide)
	}
	dir := os.Getenv("TASKKEEPER_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
