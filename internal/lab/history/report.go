package history

import (
	"errors"
	"fmt"
	"time"
)

// A Rule is what a violation breaks. The package's documentation has the rules in full.
type Rule struct{ name, says string }

var (
	RuleLeader  = Rule{"leader", "only the session that owns the lowest candidate leads"}
	RuleAssign  = Rule{"assign", "a task goes to one live, free worker, while it is unfinished"}
	RuleCommit  = Rule{"commit", "a task is finished once, by the worker that lists it"}
	RuleLosses  = Rule{"losses", "a loss is counted once for each worker that vanished"}
	RuleGive    = Rule{"give back", "a worker takes a task off its list when it is finished, or gives it back"}
	RuleIDs     = Rule{"ids", "an id names one thing for ever, made as a whole"}
	RuleRemove  = Rule{"remove", "only its client removes a task that is not finished"}
	RuleDrain   = Rule{"drain", "a drained worker has no task, and gets none"}
	RuleSession = Rule{"session", "a session writes nothing after its end"}
	RuleEnd     = Rule{"end", "in the end nothing is left"}
)

func (r Rule) String() string { return r.name }

// Says returns the rule in a few words.
func (r Rule) Says() string { return r.says }

// A Violation is a write that a rule forbids.
type Violation struct {
	Rule    Rule
	Zxid    int64
	Session int64
	Znode   string
	Why     string // what was written, and what was there before
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: zxid 0x%x, session 0x%x, %s: %s", v.Rule, v.Zxid, v.Session, v.Znode, v.Why)
}

// A Report is what Check found.
type Report struct {
	Violations []Violation

	Txns     int
	Sessions int // opened
	Expired  int // sessions that the servers ended

	Created     int // tasks, like the next five
	Done        int
	Failed      int
	Withdrawn   int // removed before they were finished: by their clients, or cancelled
	Retried     int // failed, and set back to pending
	Uncollected int // results, and payloads without a task, that masters removed

	Assigned     int // executions: tasks put into a worker's list, less Returned
	MostAssigned int // executions of one task
	GivenBack    int // by workers that left
	TakenBack    int // withdrawn tasks, from the workers that listed them
	Returned     int // tasks that were not begun, by workers that were asked for them
	Losses       int // that the leader counted

	Drained int // how often a leader wrote that something is drained

	Workers     int // registered
	WorkersLost int // vanished with their sessions, or removed by others
	Orphans     int // unfinished tasks in the lists of lost workers
	Terms       []Term

	Finishes []time.Time // when each task was done or failed, in order

	Fenced int // multis that were refused because the candidate was gone
}

// A Term is how long a candidate was the lowest. Candidates that wrote nothing as the leader
// have no term.
type Term struct{ Began, Ended time.Time } // by the servers' clocks; Ended is zero if it lasts

// Err returns the first violations; nil if there is none.
func (r Report) Err() error {
	const most = 20
	var errs []error
	for _, v := range r.Violations[:min(most, len(r.Violations))] {
		errs = append(errs, errors.New(v.String()))
	}
	if more := len(r.Violations) - most; more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}
