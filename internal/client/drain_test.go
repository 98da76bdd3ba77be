package client

import (
	"context"
	"errors"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

func TestDrain(t *testing.T) {
	connect := zktest.Connect(t)
	h, s := zktest.Conn(t, connect), start(t, connect).session()

	wait := func(name string) chan error {
		ended := make(chan error, 1)
		go func() { ended <- WaitDrained(t.Context(), s, name) }()
		return ended
	}
	is := func(what string, ended chan error, want error) {
		t.Helper()
		if err := zktest.Receive(t, "end of WaitDrained, "+what, ended); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	if err := Undrain(s, "node"); !errors.Is(err, ErrNotDrained) {
		t.Errorf("undrain of nothing: %v", err)
	}
	for range 2 {
		if err := Drain(s, "node"); err != nil {
			t.Fatal(err)
		}
	}
	ended := wait("node")
	h.Set("/drain/node", "because") // a person's note is no answer
	h.Set("/drain/node", "drained because")
	is("drained by the leader", ended, nil)
	if err := Drain(s, "node"); err != nil {
		t.Error(err)
	}
	is("drained before", wait("node"), nil)
	if err := Undrain(s, "node"); err != nil {
		t.Error(err)
	}
	is("never drained", wait("node"), ErrNotDrained)
	if err := Drain(s, "other"); err != nil {
		t.Error(err)
	}
	ended = wait("other")
	if err := Undrain(s, "other"); err != nil {
		t.Error(err)
	}
	is("undrained meanwhile", ended, ErrNotDrained)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Drain(s, "third"); err != nil {
		t.Error(err)
	}
	if err := WaitDrained(ctx, s, "third"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
