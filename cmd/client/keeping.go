package main

import (
	"github.com/spf13/cobra"

	"taskkeeper/internal/cli"
)

// keeping says what 'client run' keeps of ended tasks, and where it resumes.
type keeping struct {
	joblog, results      string
	resume, resumeFailed bool
}

// aboutJoblog is a part of the help.
const aboutJoblog = `
--joblog appends a line to a file for each task that ends, in the columns of GNU
parallel. Seq is the number of the input, and Exitval is -1 for a failure
without an exit status. --resume goes on after a run that was stopped or killed:
with the same input it does the tasks that are not in the file. Then only the
results of this run are printed. With --results those of earlier runs are
printed as well, in order. A client that is killed loses no line of the file.
When the machine dies, tasks of the last second may be done again.
`

func (k *keeping) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.joblog, "joblog", "", "Append a line to this `file` for each task that has ended.")
	f.BoolVar(&k.resume, "resume", false, "Do only the tasks that are not in the file of --joblog.")
	f.BoolVar(&k.resumeFailed, "resume-failed", false, "Do only the tasks that are not in the file of --joblog, and again those that failed.")
	f.StringVar(&k.results, "results", "", "Keep each task's standard output, standard error and exit status (-1: none) in `dir`/SEQ/stdout, stderr and exit, and why it failed in reason.")
	cmd.MarkFlagsMutuallyExclusive("resume", "resume-failed")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "joblog")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "results")
}

func (k *keeping) check() error {
	for name, given := range map[string]bool{"resume": k.resume, "resume-failed": k.resumeFailed} {
		if given && k.joblog == "" {
			return cli.WrongUse("--%s needs a joblog: name its file by --joblog", name)
		}
	}
	return nil
}

// open opens the files of a run. The directory of --results comes first: if it cannot be
// created, no joblog is left behind.
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
