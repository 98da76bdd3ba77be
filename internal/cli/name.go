package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// installed is the prefix of the installed programs' names: among all programs of a machine
// "client" alone would say too little.
const installed = "taskkeeper-"

// Program is what a person types to start one of the service's programs: its name in
// bin/, or the installed one if this process was started by an installed name.
func Program(name string) string {
	if strings.HasPrefix(filepath.Base(os.Args[0]), installed) {
		return installed + name
	}
	return name
}

// shown is a program's name where a text shows a command: indented, behind a pipe, or
// in quotes.
var shown = regexp.MustCompile(`(?m)(^  |\| |')(master|worker|client) (\S)`)

// byItsName puts the names that a person types into a program's texts.
func byItsName(root *cobra.Command) {
	rename := func(text string) string { return shown.ReplaceAllString(text, "${1}"+Program("${2}")+" ${3}") }
	name := root.Name()
	root.Use = Program(name) + strings.TrimPrefix(root.Use, name)
	each(root, func(cmd *cobra.Command) {
		cmd.Long, cmd.Example = rename(cmd.Long), rename(cmd.Example)
	})
}
