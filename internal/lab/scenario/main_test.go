package scenario

import (
	"io"
	"strings"
	"testing"
)

func TestAWrongNameIsRefusedInOneShortLineThatNamesTheFlag(t *testing.T) {
	for _, args := range [][]string{{}, {"nope"}, {strings.Repeat("\x1b", 1000)}, {"a", "b"}} {
		cmd := Command()
		cmd.SetArgs(args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		err := cmd.Execute()
		if err == nil || len(err.Error()) > 320 || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.Contains(err.Error(), "--list") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
