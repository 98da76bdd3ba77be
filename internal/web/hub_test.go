package web

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/lab/zktest"
)

// unseen returns what a reader of a hub has not seen yet, by part.
func unseen(h *hub, seen map[string]int) map[string]string {
	news, _ := h.since(seen)
	byPart := make(map[string]string)
	for _, m := range news {
		byPart[m.part] = string(m.json)
	}
	return byPart
}

func TestHub(t *testing.T) {
	t.Run("sends_a_reader_each_change_of_a_part_once", func(t *testing.T) {
		h := newHub()
		seen := make(map[string]int)
		h.set("a", 1)
		h.set("a", 2)
		h.set("b", "x")
		if got := fmt.Sprint(unseen(h, seen)); got != `map[a:2 b:"x"]` {
			t.Error(got)
		}
		h.set("b", "x") // the same
		if got := unseen(h, seen); len(got) != 0 {
			t.Error(got)
		}
		h.set("b", "y")
		if got := fmt.Sprint(unseen(h, seen)); got != `map[b:"y"]` {
			t.Error(got)
		}
	})
	t.Run("sends_what_was_added_to_a_part_and_to_a_new_reader_all_that_is_kept", func(t *testing.T) {
		h := newHub()
		seen := make(map[string]int)
		for i, want := range []string{"[0]", "[1]", "[2]"} {
			h.add("a", 3, i)
			if got := unseen(h, seen)["a"]; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		h.add("a", 3, 3)
		h.add("a", 3, 4)
		if got := unseen(h, seen)["a"]; got != "[3,4]" {
			t.Error(got)
		}
		if got := unseen(h, make(map[string]int))["a"]; got != "[2,3,4]" {
			t.Errorf("a new reader: %s", got)
		}
		for i := range 9 { // more than is kept: a slow reader misses the oldest
			h.add("a", 3, 10+i)
		}
		if got := unseen(h, seen)["a"]; got != "[16,17,18]" {
			t.Errorf("a slow reader: %s", got)
		}
	})
	t.Run("wakes_all_readers_at_a_change_and_none_without_one", func(t *testing.T) {
		h := newHub()
		h.set("a", 1)
		_, first := h.since(map[string]int{})
		_, second := h.since(map[string]int{})
		h.set("a", 1)
		select {
		case <-first:
			t.Error("woken without a change")
		default:
		}
		h.set("a", 2)
		for _, more := range []<-chan struct{}{first, second} {
			select {
			case <-more:
			default:
				t.Error("not woken")
			}
		}
	})
}

// events opens a hub's stream, and returns what waits for so many lines of it.
func events(t *testing.T, url string) (status int, lines func(n int) []string, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	scanner := bufio.NewScanner(response.Body)
	return response.StatusCode, func(n int) (got []string) {
		for len(got) < n && scanner.Scan() {
			if scanner.Text() != "" {
				got = append(got, scanner.Text())
			}
		}
		return got
	}, cancel
}

func TestReaders(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Run("are_sent_all_at_first_and_then_what_changes", func(t *testing.T) {
		h := newHub()
		h.set("a", "\n\ndata: forged")
		server := httptest.NewServer(h)
		defer server.Close()
		_, lines, leave := events(t, server.URL)
		defer leave()
		beat := func() {
			t.Helper()
			got := lines(2)
			var ms int64
			if _, err := fmt.Sscanf(strings.Join(got, "\n"), "event: beat\ndata: %d", &ms); err != nil || time.Since(time.UnixMilli(ms)).Abs() > 10*time.Second {
				t.Errorf("%q: %v", got, err)
			}
		}
		beat()
		if got := lines(2); !slices.Equal(got, []string{"event: a", `data: "\n\ndata: forged"`}) {
			t.Errorf("%q", got)
		}
		h.add("b", 9, 1)
		beat()
		if got := lines(2); !slices.Equal(got, []string{"event: b", "data: [1]"}) {
			t.Errorf("%q", got)
		}
		beat() // though nothing has changed
		began := time.Now()
		beat()
		if took := time.Since(began); took > 5*time.Second { // after which page.js shows that the master is silent
			t.Errorf("a beat came after %s", took)
		}
	})
	t.Run("beyond_the_maximum_are_refused_until_one_has_left", func(t *testing.T) {
		h := newHub()
		h.set("a", 1)
		server := httptest.NewServer(h)
		defer server.Close()
		var leave func()
		for i := range mostReaders {
			status, _, gone := events(t, server.URL)
			if status != http.StatusOK {
				t.Fatalf("reader %d: %d", i+1, status)
			}
			leave = gone
		}
		status, lines, _ := events(t, server.URL)
		if got := strings.Join(lines(1), ""); status != http.StatusServiceUnavailable || got != "200 read this page already" {
			t.Errorf("reader %d: %d %s", mostReaders+1, status, got)
		}
		leave()
		zktest.Eventually(t, "a reader is served after one has left", func() (bool, string) {
			status, _, gone := events(t, server.URL)
			gone()
			return status == http.StatusOK, fmt.Sprint(status)
		})
		server.CloseClientConnections()
		zktest.Eventually(t, "all readers are gone", func() (bool, string) { return !h.watched(), "some are left" })
	})
	t.Run("that_send_HEAD_are_not_counted", func(t *testing.T) {
		h := newHub()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "HEAD", "/events", nil))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" || h.watched() || ctx.Err() != nil {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

func TestHubWakesAtTheFirstReaderOnly(t *testing.T) {
	h := newHub()
	woken := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	first := h.first()
	if woken(first) {
		t.Error("woken without a reader")
	}
	h.enter()
	if !woken(first) || woken(h.first()) {
		t.Error("not woken by the first reader, or woken again")
	}
	first = h.first()
	h.enter()
	if woken(first) {
		t.Error("woken by the second reader")
	}
	h.leave()
	h.leave()
	h.enter()
	if !woken(first) {
		t.Error("not woken by the first reader after all had left")
	}
}
