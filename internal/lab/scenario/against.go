package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/history"
	"taskkeeper/internal/task"
)

// conclude ends a scenario without a rule. If the scenario stopped early, the writes until then
// are checked.
func (p *play) conclude(ctx context.Context, name string) error {
	if p.report == nil {
		fmt.Fprintf(p.out, "\nThe scenario stops here: %s.\n", p.err)
		p.leave(ctx)
		written, err := history.Read(p.Servers[0].DataDir())
		if err != nil {
			return err
		}
		p.written = written
		violations := history.Check(history.Under(written, chroot), history.Options{}).Violations
		if len(violations) == 0 {
			fmt.Fprintln(p.out, "No write in ZooKeeper's own log breaks a rule: the bug is that the event above never came.")
		}
		p.against(violations)
	}
	if p.err == nil {
		fmt.Fprintf(p.out, "\nNothing went wrong this time, though the rule %s was away.\n", p.rule.Name)
		return nil
	}
	return fmt.Errorf("%s, without the rule %s: %w", name, p.rule.Name, p.err)
}

// leave ends all programs by SIGTERM. It waits for the session timeout at most.
func (p *play) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, errors.New("they do not end"))
	defer cancel()
	for _, e := range p.logged(did("", "connected")) {
		_ = p.Signal(e.From, syscall.SIGCONT)
		_ = p.Signal(e.From, syscall.SIGTERM)
	}
	for _, e := range p.logged(did("", "connected")) {
		_, _ = p.Process(e.From).Wait(ctx)
	}
}

const (
	mostAgainst = 3 // violations that are printed,
	mostBefore  = 4 // and how many earlier writes with each
)

// against prints the writes in ZooKeeper's own log that break a rule, each with the earlier
// writes that explain it.
func (p *play) against(violations []history.Violation) {
	for i, v := range violations {
		if i == mostAgainst {
			fmt.Fprintf(p.out, "\nand %d more\n", len(violations)-mostAgainst)
			break
		}
		if i > 0 && v.Zxid == violations[i-1].Zxid {
			continue // the same write, once more
		}
		fmt.Fprintf(p.out, "\nA write in ZooKeeper's own log breaks the rule %q: %s.\n%s: %s.\n\n", v.Rule, v.Rule.Says(), briefly(v.Znode),
			sessionID.ReplaceAllStringFunc(v.Why, p.whose))
		for _, e := range p.before(v) {
			p.tellEntry(e, "")
		}
		for _, e := range p.entries(func(e entry) bool { return e.Zxid == v.Zxid && e.Op != history.CloseSession }) {
			p.tellEntry(e, "   <── breaks the rule")
		}
	}
	if len(violations) > 0 {
		fmt.Fprintln(p.out)
	}
}

// sessionID is a session in the judge's words.
var sessionID = regexp.MustCompile(`0x[0-9a-f]+`)

// entry is one change of the log.
type entry struct {
	history.Txn
	history.Event
}

// entries are those changes.
func (p *play) entries(which func(entry) bool) (es []entry) {
	for _, t := range history.Under(p.written, chroot) {
		for _, e := range t.Events {
			if e := (entry{t, e}); which(e) {
				es = append(es, e)
			}
		}
	}
	return es
}

// before are the last changes before a violation that it has to do with: of its znode, of what
// is written with that, and, where it is about the leader, of the candidates.
func (p *play) before(v history.Violation) []entry {
	ids := []string{nameOf(v.Znode)}
	for _, e := range p.entries(func(e entry) bool { return e.Zxid == v.Zxid && !isCandidate(e) }) {
		ids = append(ids, nameOf(e.Path))
	}
	znode := p.entries(func(e entry) bool {
		return e.Zxid < v.Zxid && slices.ContainsFunc(ids, func(id string) bool {
			return nameOf(e.Path) == id || isWorker(e) && strings.Contains(string(e.Data), id)
		})
	})
	candidates := p.entries(func(e entry) bool {
		return e.Zxid < v.Zxid && isCandidate(e) && e.Op != history.Set && v.Rule == history.RuleLeader
	})
	es := slices.Concat(znode[max(0, len(znode)-mostBefore):], candidates[max(0, len(candidates)-mostBefore):])
	slices.SortStableFunc(es, func(a, b entry) int { return cmp.Compare(a.Zxid, b.Zxid) })
	return es
}

func isCandidate(e entry) bool { return strings.HasPrefix(e.Path, task.MasterDir+"/") }

func isWorker(e entry) bool { return strings.HasPrefix(e.Path, task.WorkersDir+"/") }

func nameOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// tellEntry adds a change to the timeline, by the program whose session made it.
func (p *play) tellEntry(e entry, mark string) {
	what := string(e.Op) + " " + briefly(e.Path)
	switch {
	case isWorker(e) && e.Op == history.Set:
		what += fmt.Sprintf(" %q", listed(e.Data))
	case e.Op == history.Set || len(e.Data) > 0:
		what += fmt.Sprintf(" %.40q", e.Data)
	case e.Expired:
		what += ", its session has expired"
	}
	who := p.whose(fmt.Sprintf("%#x", e.Session))
	if strings.HasPrefix(who, "0x") {
		who = "another"
	}
	fmt.Fprintf(p.out, "%6d ms  %-9s %s%s\n", e.Time.Sub(p.began).Milliseconds(), who, what, mark)
}

// whose is the program that had a session; the session itself if none of the programs had it.
func (p *play) whose(id string) string {
	for _, e := range p.logged(did("", "connected")) {
		if e.Session == id {
			return e.From
		}
	}
	return id
}

// briefly is a path with its id shortened, as elsewhere in the timeline.
func briefly(path string) string {
	dir, name, below := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case !below:
		return path
	case "/"+dir == task.MasterDir:
		return brief(path)
	}
	return "/" + dir + "/" + harness.Short(name)
}

// listed is the content of a worker's znode with its ids shortened.
func listed(data []byte) string {
	list, _ := task.ParseList(data)
	for i, id := range list.IDs {
		list.IDs[i] = harness.Short(id)
	}
	return strings.Join(list.IDs, " ")
}
