package history

import (
	"errors"
	"fmt"
	"time"
)

// Rule is what a violation is against; see the package's documentation.
type Rule string

// The rules.
const (
	RuleLeader  Rule = "leader"
	RuleAssign  Rule = "assign"
	RuleCommit  Rule = "commit"
	RuleLosses  Rule = "losses"
	RuleGive    Rule = "give back"
	RuleIDs     Rule = "ids"
	RuleRemove  Rule = "remove"
	RuleDrain   Rule = "drain"
	RuleSession Rule = "session"
	RuleEnd     Rule = "end"
)

var says = map[Rule]string{
	RuleLeader:  "only the session that owns the lowest candidate leads",
	RuleAssign:  "a task goes to one live, free worker, while it is unfinished",
	RuleCommit:  "a task is finished once, by the worker that lists it",
	RuleLosses:  "a loss is counted once for each worker that vanished",
	RuleGive:    "a worker that lets go of a task leaves it finished or given back",
	RuleIDs:     "an id names one thing for ever, made as a whole",
	RuleRemove:  "only its client removes a task that is not finished",
	RuleDrain:   "what is drained is free, and stays so",
	RuleSession: "nothing of a session outlives it",
	RuleEnd:     "in the end nothing is left",
}

// Says is the rule in a few words.
func (r Rule) Says() string { return says[r] }

// A Violation is a write that a rule forbids.
type Violation struct {
	Rule    Rule
	Zxid    int64
	Session int64
	Znode   string
	Why     string // what was written, and what was there
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: zxid 0x%x, session 0x%x, %s: %s", v.Rule, v.Zxid, v.Session, v.Znode, v.Why)
}

// Report is what came of a history. Times are those of the log; the zero time
// stands for never.
type Report struct {
	Violations []Violation

	Txns     int
	Sessions int // opened
	Expired  int // and ended by the servers

	Created   int // tasks
	Done      int
	Failed    int // "lost with…" among them
	Withdrawn int // removed before they were finished, by their clients, with these, or cancelled
	Retried   int // failed, and set back to pending

	Uncollected int // results, and payloads without a task, that masters removed

	Assigned     int // executions: tasks put into a worker's list
	MostAssigned int // executions of one task
	GivenBack    int // tasks of workers that left
	TakenBack    int // withdrawn tasks, from their workers
	Returned     int // tasks that were not begun, by workers that were asked for them
	Losses       int // counted ones

	Drained int // times that a leader wrote that something was drained

	Workers     int // registered
	WorkersLost int // vanished with their sessions, or removed by others
	Orphans     []Orphan
	Terms       []Term

	Refused map[int64]int // multis by session that ZooKeeper refused
	Fenced  int           // of these, ones of candidates that were gone
}

// An Orphan is an unfinished task in the list of a worker that vanished.
type Orphan struct {
	Task    string
	Worker  string
	First   bool // of the list: it was being executed
	Expired bool // the servers ended the worker's session: it had timed out
	Gone    time.Time
	Again   time.Time // assigned again
	To      string    // to this worker
}

// A Term is a candidate's time as the lowest, if it wrote anything as leader.
type Term struct {
	Candidate   string // its znode
	Session     int64
	Began       time.Time // it became the lowest
	FirstAssign time.Time
	LastWrite   time.Time
	Ended       time.Time // it was gone, or not the lowest any more
	Expired     bool      // the servers ended its session
	Assigned    int
}

// Err is nil when there is no violation.
func (r Report) Err() error {
	const most = 20
	var errs []error
	for i, v := range r.Violations {
		if i == most {
			errs = append(errs, fmt.Errorf("and %d more", len(r.Violations)-most))
			break
		}
		errs = append(errs, errors.New(v.String()))
	}
	return errors.Join(errs...)
}

// String is the statistics in a few lines.
func (r Report) String() string {
	return fmt.Sprintf("%d transactions, %d sessions (%d expired), %d violations\n"+
		"tasks: %d created, %d done, %d failed, %d withdrawn%s\n"+
		"executions: %d, at most %d of a task; %d given back, %d taken back, %d losses counted\n"+
		"workers: %d, %d lost, %d tasks with them; leaders: %d; refused multis: %d, %d by the fence",
		r.Txns, r.Sessions, r.Expired, len(r.Violations),
		r.Created, r.Done, r.Failed, r.Withdrawn, r.detached(),
		r.Assigned, r.MostAssigned, r.GivenBack, r.TakenBack, r.Losses,
		r.Workers, r.WorkersLost, len(r.Orphans), len(r.Terms), r.refused(), r.Fenced)
}

// detached is what only tasks that outlive their clients come to.
func (r Report) detached() string {
	if r.Retried == 0 && r.Uncollected == 0 {
		return ""
	}
	return fmt.Sprintf(", %d retried, %d not collected", r.Retried, r.Uncollected)
}

func (r Report) refused() (n int) {
	for _, of := range r.Refused {
		n += of
	}
	return n
}
