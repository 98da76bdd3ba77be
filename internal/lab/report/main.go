package report

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// Command is the verb.
func Command() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Make the report from the evidence of runs",
		Long: `Draw figures/failover.svg, clients.svg and latency.svg, and make report.txt of
its template report.tmpl, from what scenario and compare wrote to evidence/.`,
		Example: "  make report",
		RunE:    func(*cobra.Command, []string) error { return write(dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "report", "Where evidence/ and report.tmpl are: this `folder`.")
	return cmd
}

func write(dir string) error {
	ev := evidence(filepath.Join(dir, "evidence"))
	figures := filepath.Join(dir, "figures")
	if err := os.MkdirAll(figures, 0o755); err != nil {
		return err
	}
	for name, draw := range map[string]func(evidence, string) error{"failover": failover, "clients": clients, "latency": latency} {
		if err := draw(ev, filepath.Join(figures, name+".svg")); err != nil {
			return fmt.Errorf("figure %s: %w", name, err)
		}
	}
	text, err := ev.fill(filepath.Join(dir, "report.tmpl"))
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "report.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d characters; figures in %s\n", path, len([]rune(text)), figures)
	return nil
}
