package cmdtest

import (
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/lab/harness"
)

// A bash without the package bash-completion completes what a person has typed.
func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := harness.Build(t)
	const script = `cd "$0" && PATH=$0:$PATH && source <(client completion bash) || exit 1
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
__start_client client "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"`
	for typed, tc := range map[string]struct{ words, want []string }{ // words as bash splits them
		"client su":                        {[]string{"client", "su"}, []string{"submit"}},
		"client run --jo":                  {[]string{"client", "run", "--jo"}, []string{"--joblog", "--jobs"}},
		"client run --zk=a:1 --resume-":    {[]string{"client", "run", "--zk", "=", "a", ":", "1", "--resume-"}, []string{"--resume-failed"}},
		"client --zk a:1,b:2 run --null-o": {[]string{"client", "--zk", "a", ":", "1,b", ":", "2", "run", "--null-o"}, []string{"--null-output"}},
		"client wait --mis":                {[]string{"client", "wait", "--mis"}, []string{"--missing-ok"}},
	} {
		t.Run("completes_"+typed, func(t *testing.T) {
			c := harness.Run(t, harness.Command{Path: "/bin/bash", Args: append([]string{"--norc", "--noprofile", "-c", script, dir, typed}, tc.words...)})
			c.Exit(0)
			got := c.Stdout.Lines()
			for i := range got {
				got[i] = strings.TrimSpace(strings.SplitN(got[i], "(", 2)[0])
			}
			slices.Sort(got)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for _, line := range c.Stderr.Lines() {
				if !strings.Contains(line, "compopt") { // bash is not completing
					t.Errorf("stderr %q", line)
				}
			}
		})
	}
}
