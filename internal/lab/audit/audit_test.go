package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/lab/zktest"
)

// logged reads an audit log: user, operation, znode and result in each line.
func logged(text string) (entries []zktest.AuditEntry) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 {
			entries = append(entries, zktest.AuditEntry{Session: int64(len(f[0])), User: "CN=tk-" + f[0], Operation: f[1], Znode: f[2], Result: f[3]})
		}
	}
	return entries
}

func TestEachWriteIsJudgedByThePolicy(t *testing.T) {
	for line, want := range map[string]bool{
		"admin create /x/other success":             true,
		"admin setAcl /x success":                   true,
		"master create /x/master success":           true,
		"master create /x/master/1 success":         true,
		"master setData /x/workers/w success":       true,
		"master setData /x/master success":          false,
		"worker setData /x/workers/w success":       true,
		"worker create /x/workers/w success":        true,
		"worker create /x/tasks/t success":          false,
		"worker delete /x/tasks/t success":          false,
		"worker setData /x/tasks/t success":         true,
		"worker setAcl /x/tasks/t success":          false,
		"client create /x/tasks/t success":          true,
		"client delete /x/data/t success":           true,
		"client setData /x/workers/w success":       false,
		"client create /x/tasks/t/below success":    false,
		"client create /elsewhere success":          false,
		"client create /xy success":                 false,
		"client setData /x/tasks/bob success":       false, // another client's
		"client setData /x/tasks/made success":      true,  // an admin's
		"viewer setData /x/tasks/t success":         false,
		"stranger create /x/tasks/t success":        false,
		"viewer create /x/tasks/t failure":          true,
		"bob create /x/tasks/t failure":             true,
		"client multiOperation /x failure":          true,
		"worker reconfig /zookeeper/config success": false,
	} {
		before := logged("admin create /x/tasks/made success\nbob create /x/tasks/bob success\n")
		r := judge(append(before, logged(line)...), nil, []string{"/x"})
		if got := len(r.Violations) == 1; got != want { // one is bob's: he has no role
			t.Errorf("%s: violations %q", line, r.Violations)
		}
	}
}

func TestARefusedAttemptIsListedWithWhoMadeIt(t *testing.T) {
	entries := logged("client multiOperation - failure\nclient create /x/workers/w failure\nclient create /x/tasks/t success\nclient delete /x/tasks/t failure\n")
	txns := []history.Txn{{Session: 6, Refused: -110}, {Session: 6, Refused: noAuth}, {Session: 6}, {Session: 6, Refused: noAuth}, {Session: 5, Refused: noAuth}}
	r := judge(entries, txns, []string{"/x"})
	want := []string{
		"CN=tk-client, session 0x6: create /x/workers/w",
		"CN=tk-client, session 0x6: delete /x/tasks/t",
		"somebody, session 0x5: unknown",
	}
	for i := range r.Refused {
		_, r.Refused[i], _ = strings.Cut(r.Refused[i], ": ")
	}
	if !slices.Equal(r.Refused, want) || r.Err() != nil {
		t.Errorf("%q, %v", r.Refused, r.Err())
	}
	if text := fmt.Sprint(r); !strings.HasPrefix(text, "1 writes, each by who may; 3 attempts refused\n") {
		t.Error(text)
	}
}
