package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commonFlag annotates the flags that all programs have.
const commonFlag = "common"

// helpWidth is narrow enough for any terminal.
const helpWidth = 80

func markCommon(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		_ = flags.SetAnnotation(name, commonFlag, nil) // fails only if there is no such flag
	}
}

func help(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n  %s\n", strings.TrimSpace(text), useLine(cmd))

	var commands strings.Builder
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(&commands, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
	own, common := flagsOf(cmd)

	section := func(title, text string) {
		if text = strings.Trim(text, "\n"); text != "" {
			fmt.Fprintf(w, "\n%s:\n%s\n", title, text)
		}
	}
	section("Commands", commands.String())
	section("Example", cmd.Example)
	section("Flags", own.FlagUsagesWrapped(helpWidth))
	section("Common flags", common.FlagUsagesWrapped(helpWidth))
}

// flagsOf are a command's flags: its own, and those that all programs have.
func flagsOf(cmd *cobra.Command) (own, common *pflag.FlagSet) {
	own, common = pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags, common.SortFlags = false, false
	var last []*pflag.Flag
	cmd.InheritedFlags() // merges them into Flags, in their order
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		_, isCommon := f.Annotations[commonFlag]
		switch {
		case f.Name == "help", f.Name == "version":
			last = append(last, f)
		case isCommon:
			common.AddFlag(f)
		default:
			own.AddFlag(f)
		}
	})
	for _, f := range last {
		common.AddFlag(f)
	}
	return own, common
}

func useLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " command [flags]"
	}
	return cmd.UseLine()
}
