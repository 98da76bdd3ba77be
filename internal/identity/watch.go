package identity

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// Watch logs until ctx ends that a certificate expires soon, has expired, or was renewed. It also
// logs that the files became unusable, before a connection needs them.
func (f Files) Watch(ctx context.Context, log *slog.Logger) {
	if f.IsZero() {
		return
	}
	w := watcher{files: f, log: log, seen: make(map[string]seen)}
	for {
		wait := w.look(time.Now())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// lookEvery is how often the files are read, to find renewed or unusable ones.
const lookEvery = time.Minute

// watcher remembers what was logged.
type watcher struct {
	files Files
	log   *slog.Logger
	fault string          // of the files
	seen  map[string]seen // by the kind of the certificate
}

// seen is a certificate, and the last notice about it.
type seen struct {
	end  time.Time
	said notice
}

// look reads the files, logs what is new, and returns when to look again.
func (w *watcher) look(now time.Time) (wait time.Duration) {
	m, err := w.files.read()
	if err != nil {
		if err.Error() != w.fault {
			w.log.Error("no new connection to ZooKeeper can be made", "err", err)
			w.fault = err.Error()
		}
		return lookEvery
	}
	if w.fault != "" {
		w.log.Info("the TLS files are valid again")
		w.fault = ""
	}
	wait = lookEvery
	for _, p := range m.papers(w.files) {
		last, known := w.seen[p.kind]
		switch {
		case !known:
			w.begin(p)
			last = seen{end: p.end}
		case !last.end.Equal(p.end):
			w.log.Info("the certificate was renewed", "file", p.file.path, "subject", p.subject, "expires", shown(p.end))
			last = seen{end: p.end}
		}
		due, next := noticeOf(p.begin, p.end, now)
		if due > last.said {
			due.log(w.log, p, now)
			last.said = due
		}
		w.seen[p.kind] = last
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(now), time.Millisecond))
		}
	}
	return wait
}

// begin warns of a certificate that no policy can name.
func (w *watcher) begin(p paper) {
	if p.file.path == w.files.Cert && strings.Contains(p.subject, ",") {
		w.log.Warn("no policy can name this certificate: ZooKeeper's tools split ACLs at commas, so its subject should be one part, such as CN=tk-worker",
			"file", p.file.path, "subject", p.subject)
	}
}

// notice is a warning about the end of a certificate.
type notice int

const (
	silent notice = iota
	weekAhead
	dayAhead
	hourAhead
	expired
)

var ahead = []struct {
	notice
	time.Duration
}{{weekAhead, 7 * 24 * time.Hour}, {dayAhead, 24 * time.Hour}, {hourAhead, time.Hour}, {expired, 0}}

// noticeOf returns the notice that is due now, and the time of the next one; zero after the last.
// There is no notice in the first half of a certificate's life: a certificate of one day is not
// renewed a week ahead.
func noticeOf(begin, end, now time.Time) (due notice, next time.Time) {
	for _, a := range ahead {
		at := end.Add(-a.Duration)
		if at.Before(begin.Add(end.Sub(begin) / 2)) {
			continue
		}
		if now.Before(at) {
			return due, at
		}
		due = a.notice
	}
	return due, time.Time{}
}

func (n notice) log(log *slog.Logger, p paper, now time.Time) {
	attrs := []any{"file", p.file.path, "subject", p.subject, "expires", shown(p.end)}
	if n == expired {
		log.Error("the certificate has expired: ZooKeeper takes no new connection until it is renewed", attrs...)
		return
	}
	log.Warn("the certificate expires soon: renew its file, no restart is needed", append(attrs, "in", p.end.Sub(now).Round(time.Second))...)
}
