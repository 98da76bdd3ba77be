package cli

import (
	"io"
	"regexp"

	"github.com/spf13/cobra"
)

// bashCompletion defines, if they are missing, the functions of the package
// bash-completion that cobra's script needs. A plain Debian does not have it.
const bashCompletion = `# Functions of the package bash-completion for the script below, if the package is missing.
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    # Called with -n =: cur prev words cword: no word is split at = and :
    _get_comp_words_by_ref()
    {
        local line=$COMP_LINE i blank
        words=() cword=0
        for i in "${!COMP_WORDS[@]}"; do
            blank=$((i == 0))
            while [[ $line == [[:space:]]* ]]; do
                line=${line:1} blank=1
            done
            line=${line#"${COMP_WORDS[i]}"}
            if ((blank)); then
                words+=("${COMP_WORDS[i]}")
            else
                words[${#words[@]}-1]+=${COMP_WORDS[i]}
            fi
            ((i == COMP_CWORD)) && cword=$((${#words[@]} - 1))
        done
        cur=${words[cword]} prev=
        ((cword > 0)) && prev=${words[cword - 1]}
        return 0
    }
fi
if ! declare -F _filedir >/dev/null; then
    _filedir()
    {
        local kind=-f
        [[ ${1-} == -d ]] && kind=-d
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen "$kind" -- "$cur")
    }
fi

`

// dependence is what the help of 'completion bash' says about that package.
var dependence = regexp.MustCompile(`This script depends on the 'bash-completion' package.\n.*\n\n`)

// completeBash makes 'completion bash' work without the package bash-completion. Call it
// after SetOut: cobra's script is written there.
func completeBash(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	bash, _, err := root.Find([]string{"completion", "bash"})
	if err != nil || bash == root {
		return // a program without commands has none
	}
	bash.Long = dependence.ReplaceAllString(bash.Long, "")
	script := bash.RunE
	bash.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := io.WriteString(cmd.OutOrStdout(), bashCompletion); err != nil {
			return err
		}
		return script(cmd, args)
	}
}
