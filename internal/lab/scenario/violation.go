package scenario

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/task"
)

// conclude says what happened without a rule. If the script ended early, the writes until then
// are judged.
func (r *run) conclude(name string, err error) error {
	if r.report == nil {
		fmt.Fprintf(r.out, "\nThe scenario stops here: %s.\n", err)
		var rerr error
		if r.txns, rerr = history.Read(r.Servers[0].DataDir()); rerr != nil {
			return rerr
		}
		violations := history.Check(history.Under(r.txns, chroot), history.Options{}).Violations
		if len(violations) == 0 {
			fmt.Fprintln(r.out, "No write in ZooKeeper's own log breaks a rule: the bug is that the event above never came.")
		}
		r.explain(violations)
	}
	if err == nil {
		fmt.Fprintf(r.out, "\nNothing went wrong this time, though the rule %s was away.\n", r.rule.Name)
		return nil
	}
	return fmt.Errorf("%s, without the rule %s: %w", name, r.rule.Name, err)
}

const (
	mostViolations = 3 // that are printed,
	mostWrites     = 6 // and how many writes with each
)

// explain prints the writes in ZooKeeper's own log that break a rule. Before each stand the last
// writes of the same znode, and of the candidates if the rule is about the leader.
func (r *run) explain(violations []history.Violation) {
	for i, v := range violations {
		if i == mostViolations {
			fmt.Fprintf(r.out, "\nand %d more\n", len(violations)-mostViolations)
			break
		}
		if i > 0 && v.Zxid == violations[i-1].Zxid {
			continue // the same write breaks another rule
		}
		why := regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllStringFunc(v.Why, func(id string) string { return cmp.Or(r.owner(id), id) })
		fmt.Fprintf(r.out, "\nA write in ZooKeeper's own log breaks the rule %q: %s.\n%s: %s.\n\n", v.Rule, v.Rule.Says(), briefly(v.Znode), why)
		var lines []moment
		for _, t := range history.Under(r.txns, chroot) {
			for _, e := range t.Events {
				m := moment{t.Time, cmp.Or(r.owner(sessionID(t.Session)), "another"), described(t, e)}
				candidate := strings.HasPrefix(e.Path, task.MasterDir+"/") && e.Op != history.Set
				switch {
				case t.Zxid == v.Zxid && e.Op != history.CloseSession:
					m.what += "   <── breaks the rule"
					lines = append(lines, m)
				case t.Zxid < v.Zxid && (e.Path == v.Znode || candidate && v.Rule == history.RuleLeader):
					lines = append(lines, m)
				}
			}
		}
		for _, m := range lines[max(0, len(lines)-mostWrites):] {
			r.print(r.out, m.at, m.who, m.what)
		}
	}
	if len(violations) > 0 {
		fmt.Fprintln(r.out)
	}
}

// described is one change of a transaction.
func described(t history.Txn, e history.Event) string {
	text := string(e.Op) + " " + briefly(e.Path)
	switch {
	case strings.HasPrefix(e.Path, task.WorkersDir+"/") && e.Op == history.Set:
		list, _ := task.ParseList(e.Data)
		for i, id := range list.IDs {
			list.IDs[i] = harness.Short(id)
		}
		text += fmt.Sprintf(" %q", strings.Join(list.IDs, " "))
	case e.Op == history.Set || len(e.Data) > 0:
		text += fmt.Sprintf(" %.40q", e.Data)
	case t.Expired:
		text += ", its session has expired"
	}
	return text
}

// owner is the program that had a session, such as 0x1a; "" if no program had it.
func (r *run) owner(session string) string {
	for _, e := range r.logged(time.Time{}, logs("", "connected")) {
		if e.Session == session {
			return e.From
		}
	}
	return ""
}

func sessionID(id int64) string { return fmt.Sprintf("0x%x", id) }

// briefly is a path with its name shortened.
func briefly(znode string) string {
	dir, name := path.Split(znode)
	return dir + harness.Short(name)
}
