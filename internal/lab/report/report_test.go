package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport checks the report that is kept: its length is what the assignment
// asks for, and it is what its template and its evidence make.
func TestReport(t *testing.T) {
	const dir = "../../../report"
	kept, err := os.ReadFile(filepath.Join(dir, "report.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(string(kept))); n < 5000 || n > 15000 {
		t.Errorf("%d characters, want 5,000 to 15,000", n)
	}
	made, err := evidence(filepath.Join(dir, "evidence")).fill(filepath.Join(dir, "report.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	if made != string(kept) {
		t.Error("report.txt is not what report.tmpl and evidence/ make: run bin/lab report")
	}
	for _, figure := range []string{"figures/failover.svg", "figures/clients.svg", "figures/latency.svg"} {
		if _, err := os.Stat(filepath.Join(dir, figure)); err != nil || !strings.Contains(made, figure) {
			t.Errorf("%s is not there, or not shown: %v", figure, err)
		}
	}
}

func TestEvidence(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.txt", `a: what it is about

    17 ms  master-1  leader
  2017 ms            SIGTERM to master-1
  ok      the next assignment after SIGTERM: 31 ms, at most 100
  ok      given back 5 times
  ok      another: 7 ms, at most 9
`)
	write("c.txt", "    17 ms  master-1  leader\n")
	for text, want := range map[string]string{
		`{{count "a" "given back "}}`:         "5",
		`{{lines "a" "leader" "SIGTERM to"}}`: "        17 ms  master-1  leader\n      2017 ms            SIGTERM to master-1",
		`{{times "a"}}`: "| scenario | what | ms | at most |\n| --- | --- | --: | --: |\n" +
			"| a | the next assignment after SIGTERM | 31 | 100 |\n|  | another | 7 | 9 |",
	} {
		write("t", text)
		if got, err := evidence(dir).fill(filepath.Join(dir, "t")); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`{{times "c"}}`:           "nothing was measured",
		`{{lines "a" "no such"}}`: "no line with",
		`{{count "a" "leader"}}`:  "no number behind",
		`{{whole "b"}}`:           "no such file",
	} {
		write("t", text)
		if _, err := evidence(dir).fill(filepath.Join(dir, "t")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
