package main

import (
	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
)

// keeping is what 'client run' keeps of tasks that have ended, and goes on from.
type keeping struct {
	joblog, results      string
	resume, resumeFailed bool
}

// aboutJoblog is a part of the help.
const aboutJoblog = `
--joblog appends a line to a file for each task that ends, in the columns of GNU
parallel. Seq is the number of the input, and Exitval is -1 for a failure
without an exit status. --resume goes on after a run that was stopped or killed:
with the same input it does what the file does not have. Only what this run does
is printed then, unless --results keeps results: it prints those of earlier runs
as well, in order. A client that is killed loses no line of the file. When the
machine dies, what the last second brought may be done again.
`

func (k *keeping) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.joblog, "joblog", "", "Append a line to this `file` for each task that has ended.")
	f.BoolVar(&k.resume, "resume", false, "Do only what the file of --joblog does not have.")
	f.BoolVar(&k.resumeFailed, "resume-failed", false, "Do only what the file of --joblog does not have, and again what failed.")
	f.StringVar(&k.results, "results", "", "Keep what a task had for standard output and standard error, and its exit status, in `dir`/SEQ/stdout, stderr and exit (-1: none), and why it failed in reason.")
	cmd.MarkFlagsMutuallyExclusive("resume", "resume-failed")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "joblog")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "results")
}

func (k *keeping) check() error {
	for name, given := range map[string]bool{"resume": k.resume, "resume-failed": k.resumeFailed} {
		if given && k.joblog == "" {
			return cli.WrongUse("--%s is about a joblog: name its file by --joblog", name)
		}
	}
	return nil
}

// open gives a run its files. Their directory is created first: a joblog that is there
// belongs to a run.
func (k *keeping) open(r *running) (err error) {
	if k.results != "" {
		results, err := openResults(k.results)
		if err != nil {
			return err
		}
		r.results = &results
	}
	if k.joblog != "" {
		if r.log, err = openJoblog(k.joblog, k.resume || k.resumeFailed, k.resumeFailed); err != nil {
			return err
		}
		if r.log.last > 0 {
			r.in.log, r.in.reprint = r.log, r.results != nil
		}
	}
	return nil
}
