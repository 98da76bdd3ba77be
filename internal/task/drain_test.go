package task

import (
	"slices"
	"strings"
	"testing"
)

func TestDrainsNamesTheWorkerItsHostAndItsProcess(t *testing.T) {
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

func TestParseDrain(t *testing.T) {
	for _, test := range []struct {
		data    string
		version int32
		drained bool
		note    string
	}{
		{"", 0, false, ""},
		{" \n", 1, false, ""},
		{"disk full\n", 0, false, "disk full"},
		{"drained", 1, true, ""},
		{"drained\n", 2, true, ""},
		{"drained disk full", 1, true, "disk full"},
		{"drained disk full", 0, false, "drained disk full"}, // version 0: a person created it so
		{"drainedx", 1, false, "drainedx"},
		{"not drained", 1, false, "not drained"},
	} {
		drained, note := ParseDrain([]byte(test.data), test.version)
		if drained != test.drained || note != test.note {
			t.Errorf("%q at version %d: %t, %q", test.data, test.version, drained, note)
		}
		written := Drained(note)
		if again, kept := ParseDrain(written, 1); !again || kept != note {
			t.Errorf("%q becomes %q", test.data, written)
		}
	}
}

func TestDrainingOfFindsTheDrainsOfAWorker(t *testing.T) {
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

func TestUndrainIsACommandForPlainNamesOnly(t *testing.T) {
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
