package identity

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// record is a log without times.
type record struct {
	file string // the certificate's
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.text.String()
	r.text.Reset()
	return text
}

func (r *record) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// watch watches the files until the test ends.
func watch(t *testing.T, f Files) *record {
	r := &record{file: f.Cert}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { f.Watch(ctx, r.log()) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	return r
}

func TestNoticesComeAWeekADayAndAnHourBeforeTheEnd(t *testing.T) {
	const day = 24 * time.Hour
	begin := time.Now()
	for _, tt := range []struct {
		life time.Duration
		want []time.Duration // before the end
	}{
		{30 * day, []time.Duration{7 * day, day, time.Hour, 0}},
		{14 * day, []time.Duration{7 * day, day, time.Hour, 0}},
		{13 * day, []time.Duration{day, time.Hour, 0}},
		{day, []time.Duration{time.Hour, 0}},
		{time.Minute, []time.Duration{0}},
	} {
		end := begin.Add(tt.life)
		said, next := noticeOf(begin, end, begin)
		for _, before := range tt.want {
			if want := end.Add(-before); !next.Equal(want) {
				t.Errorf("of %s: the next notice %s ahead, want %s", tt.life, end.Sub(next), before)
			}
			var due notice
			if due, next = noticeOf(begin, end, end.Add(-before)); due <= said {
				t.Errorf("of %s: nothing new is said %s ahead", tt.life, before)
			}
			said = due
		}
		if said != expired || !next.IsZero() {
			t.Errorf("of %s: at its end %d, next %s", tt.life, said, next)
		}
	}
}

func TestWatchWarnsBeforeACertificateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t, "ca") // it lasts for longer
		end := time.Now().Truncate(time.Second).Add(3 * time.Hour)
		r := watch(t, ca.issue(request{name: "tk-worker", begin: time.Now(), end: end}))
		said := ""
		for time.Now().Before(end.Add(time.Hour)) {
			synctest.Wait()
			for line := range strings.Lines(r.take()) {
				said += time.Until(end).String() + " before: " + line
			}
			time.Sleep(10 * time.Minute)
		}
		file := "file=" + r.file + " subject=\"CN=tk-worker\" expires=" + shown(end)
		want := "1h0m0s before: level=WARN msg=\"the certificate expires soon: renew its file, no restart is needed\" " + file + " in=1h0m0s\n" +
			"0s before: level=ERROR msg=\"the certificate has expired: ZooKeeper takes no new connection until it is renewed\" " + file + "\n"
		if said != want {
			t.Errorf("said:\n%swant:\n%s", said, want)
		}
	})
}

func TestWatchLogsRenewedAndMalformedFilesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t, "ca")
		f := ca.issue(request{name: "tk-worker", begin: time.Now().Add(-3 * time.Hour), end: time.Now().Add(30 * time.Minute)})
		r := watch(t, f)
		says := func(want ...string) {
			t.Helper()
			time.Sleep(lookEvery + time.Second)
			synctest.Wait()
			text := r.take()
			if strings.Count(text, "\n") != len(want) {
				t.Errorf("%d lines:\n%s", len(want), text)
			}
			for _, w := range want {
				if !strings.Contains(text, w) {
					t.Errorf("no %q in:\n%s", w, text)
				}
			}
		}
		says("level=WARN msg=\"the certificate expires soon")
		says()
		write(t, f.Key, 0o600, "half a fi")
		says("level=ERROR msg=\"no new connection to ZooKeeper can be made\" err=\"--tls-key " + f.Key + ": it holds no private key")
		says()
		ca.renew(f, request{name: "tk-worker"})
		says("level=INFO msg=\"the TLS files are valid again\"", "level=INFO msg=\"the certificate was renewed\"")
		if err := os.Remove(f.Cert); err != nil {
			t.Fatal(err)
		}
		says("there is no such file")
	})
}

func TestWatchLogsTheExpiryOfACertificateAtOnce(t *testing.T) {
	f := newAuthority(t, "ca").issue(request{name: "tk-worker", end: time.Now().Add(1500 * time.Millisecond)})
	r := watch(t, f)
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	text := ""
	for end := time.Now().Add(10 * time.Second); !strings.Contains(text, "has expired"); time.Sleep(10 * time.Millisecond) {
		if text += r.take(); time.Now().After(end) {
			t.Fatalf("said: %s", text)
		}
	}
	if err := f.Check(); err == nil {
		t.Error("the certificate is still valid")
	}
}

func TestWatchWarnsOfASubjectThatNoPolicyCanName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t, "ca")
		r := watch(t, ca.issue(request{name: "tk,worker"}))
		synctest.Wait()
		if text := r.take(); !strings.Contains(text, "no policy can name this certificate") || !strings.Contains(text, `subject="CN=tk\\,worker"`) {
			t.Error(text)
		}
	})
}
