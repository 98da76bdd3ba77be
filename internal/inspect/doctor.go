package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"taskkeeper/internal/task"
)

// Finding is something wrong in the tree: what no program of ours leaves behind,
// or what keeps one of them from its work.
type Finding struct {
	Znode string   // with the chroot
	Text  string   // what is wrong
	Mend  []string // commands of ZooKeeper's shell, to be run in this order

	mzxid int64 // of the znode that tells
}

// String is the finding, and a line for each command.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", quote(f.Znode), f.Text)
	for _, m := range f.Mend {
		fmt.Fprintf(&b, "    %s\n", m)
	}
	return b.String()
}

// Findings tells what is wrong in a tree that Diagnose has read. Root is its chroot.
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
	if !whole { // what is not listed is not missing
		return d.found
	}
	d.master()
	d.workers()
	d.states()
	d.payloads()
	return d.found
}

// twice returns the findings of the second look that the first one had as well, of
// the same znode, which nobody has touched since.
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

func (d *doctor) find(path string, z *Znode, text string, mend ...string) {
	d.found = append(d.found, Finding{Znode: d.root + path, Text: text, Mend: mend, mzxid: z.Mzxid})
}

// command is one of ZooKeeper's shell.
func (d *doctor) command(verb, path string, args ...string) string {
	words := []string{verb, quote(d.root + path)}
	for _, a := range args {
		words = append(words, quote(a))
	}
	return strings.Join(words, " ")
}

// quote puts a word in quotes where ZooKeeper's shell would not take it for one.
func quote(s string) string {
	switch {
	case s != "" && !strings.ContainsAny(s, " \t\r\n'\""):
		return s
	case strings.Contains(s, `"`):
		return "'" + s + "'"
	}
	return `"` + s + `"`
}

func (d *doctor) remove(path string, z *Znode) string {
	if len(z.Below) > 0 {
		return d.command("deleteall", path)
	}
	return d.command("delete", path)
}

// access tells whether the service may use a znode.
func (d *doctor) access(path string, z *Znode) {
	switch mend := d.command("setAcl", path, "world:anyone:cdrwa"); {
	case z.Err != nil:
		d.find(path, z, unreadable(z.Err), mend)
	case z.Closed:
		d.find(path, z, "its ACL keeps the service from its work", mend)
	}
}

// below finds what hangs below a znode that has no children of the service's own.
func (d *doctor) below(path string, z *Znode) {
	for _, child := range z.Below {
		d.find(path+"/"+child, z, "a child that is none of the service's own: it keeps the znode above it from being deleted",
			d.command("deleteall", path+"/"+child))
	}
}

func (d *doctor) master() {
	for i := range d.tree.Strangers {
		z := &d.tree.Strangers[i]
		path := task.MasterDir + "/" + z.Name
		d.find(path, z, noCandidate, d.remove(path, z))
	}
	for i := range d.tree.Candidates {
		z := &d.tree.Candidates[i].Znode
		path := task.MasterDir + "/" + z.Name
		if z.Err == nil && z.Owner == 0 {
			d.find(path, z, notEphemeralCandidate, d.remove(path, z))
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
			d.find(path, &w.Znode, notEphemeralWorker, d.remove(path, &w.Znode))
			continue
		}
		d.access(path, &w.Znode)
		switch {
		case w.Err != nil:
		case w.Odd != nil:
			d.find(path, &w.Znode, noList(w.Odd), d.command("set", path, ""))
		default:
			d.list(path, w, held)
		}
	}
}

// list finds what a worker should not have in its list.
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
	if more := len(wrong) - shown; more > 0 {
		wrong = append(wrong[:shown], fmt.Sprintf("and %d more", more))
	}
	text, keep := "lists "+strings.Join(wrong, "; "), ""
	switch {
	case len(rest) == 1:
		keep = rest[0]
	case len(rest) > 1: // a line each, which cannot be typed
		text += fmt.Sprintf(" (the other %d are assigned again)", len(rest))
	}
	d.find(path, &w.Znode, text, d.command("set", path, keep))
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
			mend := []string{d.remove(path, &x.Znode)}
			if payload != nil {
				mend = append(mend, d.remove(task.DataPath(x.Name), payload))
			}
			d.find(path, &x.Znode, malformed(x), mend...)
			continue
		case payload == nil && x.Err == nil && (x.Phase == task.Odd || x.Phase == task.Pending):
			d.find(path, &x.Znode, "a task without a payload: a worker would fail it", d.remove(path, &x.Znode))
			continue
		case x.Err == nil && x.Phase == task.Odd:
			d.find(path, &x.Znode, malformed(x), d.command("set", path, task.Pending.String()))
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
			d.find(path, z, "a payload without a task", d.remove(path, z))
			continue
		}
		if !task.ValidID(z.Name) {
			continue // its task's finding has it
		}
		d.access(path, z)
		d.below(path, z)
	}
}
