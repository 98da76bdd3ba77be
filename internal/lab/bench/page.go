package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

const (
	readers   = 10 // of the page
	pageTurns = 2  // with readers, and as many without
)

// freeAddress is one of this machine's where nobody listens yet.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// page compares the throughput while the leader's page is read with that while it is served to
// nobody, by turns: each has the other before it as often as behind it.
func page(ctx context.Context, rd *round) ([]sample, error) {
	var with, without float64
	var used []sample
	for turn := range 2 * pageTurns {
		read := turn%4 == 1 || turn%4 == 2
		leave := func() error { return nil }
		if read {
			var err error
			if leave, err = readPage(ctx, rd.site.page); err != nil {
				return nil, err
			}
		}
		rates, err := flood(ctx, rd, 1, func(rate sample) []sample { return []sample{rate} })
		if left := leave(); err == nil {
			err = left
		}
		if err != nil {
			return nil, err
		}
		if read {
			with, used = with+rates[0].value/pageTurns, rates[1:]
		} else {
			without += rates[0].value / pageTurns
		}
	}
	beside := sample{what: "tasks, page unread", unit: perSecond, value: without}
	rate := sample{what: fmt.Sprintf("tasks, %d read the page", readers), unit: perSecond, value: with}
	return append([]sample{beside, rate.than(beside, ratioAtLeast(0.97))}, used...), nil
}

// readPage has the page read until leave is called, which fails if nothing came.
func readPage(ctx context.Context, address string) (leave func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	transport := new(http.Transport)
	var all sync.WaitGroup
	var mu sync.Mutex // guards bytes
	var bytes int64
	leave = func() error {
		cancel()
		all.Wait()
		transport.CloseIdleConnections()
		if bytes < readers*1000 {
			return fmt.Errorf("%d readers of the page have got %d bytes", readers, bytes)
		}
		return nil
	}
	for range readers {
		request, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/events", nil)
		if err != nil {
			return nil, err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			_ = leave()
			return nil, err
		}
		all.Go(func() {
			defer response.Body.Close()
			n, _ := io.Copy(io.Discard, response.Body) // until leave
			mu.Lock()
			defer mu.Unlock()
			bytes += n
		})
	}
	return leave, nil
}
