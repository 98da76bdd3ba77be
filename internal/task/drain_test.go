package task

import (
	"slices"
	"strings"
	"testing"
)

func TestDrains(t *testing.T) {
	const uuid = "0b5f5f7e-7c2c-4b0e-8f45-5b8f0d4b7a01"
	for worker, want := range map[string][]string{
		"node:7-" + uuid:     {"node:7-" + uuid, "node", "node:7"},
		"gpu.node:7-" + uuid: {"gpu.node:7-" + uuid, "node", "node:7"},
		"me":                 {"me"},
		"gpu.me":             {"gpu.me", "me"},
	} {
		if got := Drains(worker); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", worker, got, want)
		}
	}
}

func TestDrained(t *testing.T) {
	for _, test := range []struct {
		data    string
		drained bool
		note    string
		then    string // what the leader writes over it
	}{
		{"", false, "", "drained"},
		{" \n", false, "", "drained"},
		{"disk full\n", false, "disk full", "drained disk full"},
		{"drained", true, "", "drained drained"},
		{"drained\n", true, "", "drained drained"},
		{"drained disk full", true, "disk full", "drained drained disk full"},
		{"drainedx", false, "drainedx", "drained drainedx"},
		{"not drained", false, "not drained", "drained not drained"},
	} {
		if got := IsDrained([]byte(test.data)); got != test.drained {
			t.Errorf("%q is drained: %t", test.data, got)
		}
		if got := DrainNote([]byte(test.data)); got != test.note {
			t.Errorf("%q has the note %q", test.data, got)
		}
		if got := Drained([]byte(test.data)); string(got) != test.then || !IsDrained(got) {
			t.Errorf("%q becomes %q", test.data, got)
		}
	}
}

func TestDrainingOf(t *testing.T) {
	const uuid = "0b5f5f7e-7c2c-4b0e-8f45-5b8f0d4b7a01"
	d := NewDraining([]string{"node", "node:7", "gpu.other:7-" + uuid, "me"})
	for worker, want := range map[string][]string{
		"node:7-" + uuid:      {"node", "node:7"},
		"gpu.node:8-" + uuid:  {"node"},
		"other:7-" + uuid:     nil,
		"gpu.other:7-" + uuid: {"gpu.other:7-" + uuid},
		"me":                  {"me"},
	} {
		if got := d.Of(worker); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", worker, got, want)
		}
		if got := NewDraining(nil).Of(worker); len(got) != 0 {
			t.Errorf("%s: %q, and nothing is drained", worker, got)
		}
	}
}

func TestUndrain(t *testing.T) {
	const see = "see /drain, and client undrain"
	many := make([]string, mostUndrained+1)
	for i := range many {
		many[i] = "n"
	}
	for _, test := range []struct {
		drains []string
		want   string
	}{
		{[]string{"node1", "gpu.node-2:7-0b5f5f7e"}, "client undrain node1 gpu.node-2:7-0b5f5f7e"},
		{many[1:], "client undrain n n n n n n n n n n"},
		{many, see},
		{nil, see},
		{[]string{"node", "-x"}, see},
		{[]string{"$(x)"}, see},
		{[]string{"a b"}, see},
		{[]string{"a\nb"}, see},
		{[]string{"\u00e4"}, see},
		{[]string{strings.Repeat("x", maxUndrained+1)}, see},
	} {
		if got := Undrain(test.drains); got != test.want {
			t.Errorf("%q: %q, want %q", test.drains, got, test.want)
		}
	}
}
