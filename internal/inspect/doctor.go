package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"taskkeeper/internal/member"
	"taskkeeper/internal/printable"
	"taskkeeper/internal/task"
)

// Finding is something wrong in the tree: a znode that no program of ours leaves behind, or
// one that keeps a program from its work.
type Finding struct {
	Znode string // with the chroot
	Text  string // what is wrong

	root    string
	mzxid   int64 // of the znode
	changes []change
}

// String is the finding, and a line for each command of ZooKeeper's shell that mends it. There
// is no command if a shell could read a name as more than a name.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.Headline())
	commands := f.commands()
	if commands == nil {
		b.WriteString(" (client doctor --mend mends it)")
	}
	b.WriteByte('\n')
	for _, c := range commands {
		fmt.Fprintf(&b, "    %s\n", c)
	}
	return b.String()
}

// Headline is the finding in a line, without commands.
func (f Finding) Headline() string {
	return shownPath(f.Znode) + "  " + printable.Line(printable.Cut(f.Text, maxText))
}

func (f Finding) commands() (all []string) {
	for _, c := range f.changes {
		command, safe := c.command(f.root)
		if !safe {
			return nil
		}
		all = append(all, command)
	}
	return all
}

// maxText is how much of a finding's text is shown, in bytes: it may quote hostile
// znodes.
const maxText = 1000

// shownPath is a path fit for a line, in quotes unless it is plain.
func shownPath(path string) string {
	if plainPath(path) {
		return path
	}
	return `"` + printable.Line(printable.Cut(path, 2*maxPlain)) + `"`
}

// Findings returns what is wrong in a tree that Diagnose has read. Root is its chroot.
func Findings(t *Tree, root string) []Finding {
	d := &doctor{tree: t, root: root, tasks: make(map[string]*Task), data: make(map[string]*Znode)}
	for i := range t.Tasks {
		d.tasks[t.Tasks[i].Name] = &t.Tasks[i]
	}
	for i := range t.Data {
		d.data[t.Data[i].Name] = &t.Data[i]
	}
	whole := true
	for i := range t.Dirs {
		z := &t.Dirs[i]
		d.access(z.Name, z)
		whole = whole && z.Err == nil
	}
	if !whole { // without a listing a znode may only seem to be missing
		return d.found
	}
	d.master()
	d.workers()
	d.drains()
	d.members()
	d.states()
	d.payloads()
	return d.found
}

// twice returns the findings of the second look that the first look had as well, of the same
// znode at the same mzxid.
func twice(first, second []Finding) []Finding {
	type key struct {
		znode, text string
		mzxid       int64
	}
	seen := make(map[key]bool, len(first))
	for _, f := range first {
		seen[key{f.Znode, f.Text, f.mzxid}] = true
	}
	return slices.DeleteFunc(second, func(f Finding) bool { return !seen[key{f.Znode, f.Text, f.mzxid}] })
}

type doctor struct {
	tree  *Tree
	root  string
	tasks map[string]*Task
	data  map[string]*Znode
	found []Finding
}

func (d *doctor) find(path string, z *Znode, text string, changes ...change) {
	d.found = append(d.found, Finding{Znode: at(d.root, path), Text: text, root: d.root, mzxid: z.Mzxid, changes: changes})
}

// at is a path with the chroot.
func at(root, path string) string {
	if path == "/" && root != "" {
		return root
	}
	return root + path
}

// access finds a znode that the service cannot use, or that others can.
func (d *doctor) access(path string, z *Znode) {
	switch {
	case z.Err != nil:
		d.find(path, z, unreadable(z.Err), opening(path, z))
	case z.Closed && d.tree.Access.Policy.IsZero():
		d.find(path, z, "its ACL keeps the service from its work", opening(path, z))
	case z.Closed:
		d.find(path, z, "its ACL is not the policy's", opening(path, z))
	}
}

// below finds children of a znode that should have none.
func (d *doctor) below(path string, z *Znode) {
	for i := range z.Below {
		child := &z.Below[i]
		path := path + "/" + child.Name
		d.find(path, child, "a child that no program of the service creates: the znode above it cannot be deleted",
			removing(path, child))
	}
}

func (d *doctor) master() {
	for i := range d.tree.Strangers {
		z := &d.tree.Strangers[i]
		path := task.MasterDir + "/" + z.Name
		d.find(path, z, noCandidate, removing(path, z))
	}
	for i := range d.tree.Candidates {
		z := &d.tree.Candidates[i].Znode
		path := task.MasterDir + "/" + z.Name
		if z.Err == nil && z.Owner == 0 {
			d.find(path, z, notEphemeralCandidate, removing(path, z))
			continue
		}
		d.access(path, z)
	}
}

func (d *doctor) workers() {
	held := d.tree.holders()
	for i := range d.tree.Workers {
		w := &d.tree.Workers[i]
		path := task.WorkerPath(w.Name)
		if w.Err == nil && w.Owner == 0 {
			d.find(path, &w.Znode, notEphemeralWorker, removing(path, &w.Znode))
			continue
		}
		d.access(path, &w.Znode)
		switch {
		case w.Err != nil:
		case w.Malformed != nil:
			d.find(path, &w.Znode, noList(w.Malformed), setting(path, &w.Znode, ""))
		default:
			d.list(path, w, held)
		}
	}
}

// drains finds drains of processes and workers that are gone: their names do not come back. A
// drain of a host also holds for later workers.
func (d *doctor) drains() {
	there := make(map[string]bool)
	is := func(name string) {
		for _, drain := range task.Drains(name) {
			there[drain] = true
		}
	}
	for i := range d.tree.Workers {
		is(d.tree.Workers[i].Name)
	}
	for i := range d.tree.Members {
		if m := &d.tree.Members[i]; m.Err != nil || m.Role == member.Worker { // between two sessions it has no worker
			is(m.Name)
		}
	}
	for i := range d.tree.Drains {
		z := &d.tree.Drains[i].Znode
		path := task.DrainPath(z.Name)
		if strings.Contains(z.Name, ":") && !there[z.Name] {
			d.find(path, z, "drains a worker that is gone", removing(path, z))
			continue
		}
		d.access(path, z)
		d.below(path, z)
	}
}

func (d *doctor) members() {
	for i := range d.tree.Members {
		z := &d.tree.Members[i].Znode
		path := task.MemberPath(z.Name)
		if z.Err == nil && z.Owner == 0 {
			d.find(path, z, "not ephemeral: it is no process, and no session ends it", removing(path, z))
			continue
		}
		d.access(path, z)
	}
}

// list finds ids that a worker should not have in its list.
func (d *doctor) list(path string, w *Worker, held map[string][]*Worker) {
	var wrong, rest []string
	for _, id := range w.Tasks {
		x, first := d.tasks[id], earliest(held[id])
		switch {
		case x == nil:
			wrong = append(wrong, name(id)+", which is no task")
		case x.Err == nil && (x.Phase == task.Done || x.Phase == task.Failed):
			wrong = append(wrong, name(id)+", which is "+x.Phase.String())
		case first != w:
			wrong = append(wrong, name(id)+", which worker "+name(first.Name)+" has as well, for longer")
		default:
			rest = append(rest, id)
		}
	}
	if len(wrong) == 0 {
		return
	}
	text := "lists " + strings.Join(wrong[:min(shown, len(wrong))], "; ")
	if n := len(wrong) - shown; n > 0 {
		text += fmt.Sprintf("; and %d more such", n)
	}
	d.find(path, &w.Znode, text, setting(path, &w.Znode, string(task.List{IDs: rest}.Bytes())))
}

// earliest is the worker that has had its list for longest.
func earliest(ws []*Worker) *Worker {
	return slices.MinFunc(ws, func(a, b *Worker) int {
		return cmp.Or(cmp.Compare(a.Mzxid, b.Mzxid), strings.Compare(a.Name, b.Name))
	})
}

func (d *doctor) states() {
	for i := range d.tree.Tasks {
		x := &d.tree.Tasks[i]
		path := task.StatePath(x.Name)
		payload := d.data[x.Name]
		switch {
		case !task.ValidID(x.Name):
			changes := []change{removing(path, &x.Znode)}
			if payload != nil {
				changes = append(changes, removing(task.DataPath(x.Name), payload))
			}
			d.find(path, &x.Znode, malformed(x), changes...)
			continue
		case payload == nil && x.Err == nil && x.Phase == task.Malformed:
			d.find(path, &x.Znode, malformed(x)+"; and it has no payload", removing(path, &x.Znode).unless(task.DataPath(x.Name)))
			continue
		case payload == nil && x.Err == nil && x.Phase == task.Pending:
			d.find(path, &x.Znode, "a task without a payload: a worker would fail it",
				removing(path, &x.Znode).unless(task.DataPath(x.Name)))
			continue
		case x.Err == nil && x.Phase == task.Malformed:
			d.find(path, &x.Znode, malformed(x), setting(path, &x.Znode, task.Pending.String()))
		}
		d.access(path, &x.Znode)
		d.below(path, &x.Znode)
	}
}

func (d *doctor) payloads() {
	for i := range d.tree.Data {
		z := &d.tree.Data[i]
		path := task.DataPath(z.Name)
		if d.tasks[z.Name] == nil {
			d.find(path, z, "a payload without a task", removing(path, z).unless(task.StatePath(z.Name)))
			continue
		}
		if !task.ValidID(z.Name) {
			continue // states reports it with its task
		}
		d.access(path, z)
		d.below(path, z)
	}
}
