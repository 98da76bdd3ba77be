package access

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// programs are those that send requests to ZooKeeper.
var programs = []string{"./cmd/client", "./cmd/master", "./cmd/worker"}

// needs has the right that each request of package session needs.
var needs = map[string]string{
	"ACL": "r", "Check": "r", "Children": "r", "ChildrenW": "r", "Get": "r", "GetAll": "r", "GetAllW": "r", "GetPersistentW": "r", "GetW": "r",
	"Stat":      "r", // nothing until ZooKeeper 3.9
	"WatchTree": "r", "Create": "c", "CreateEphemeral": "c", "CreateEphemeralSequential": "c", "EnsureDirs": "c",
	"Delete": "d", "Set": "w", "SetACL": "a",
}

// free are its other methods: they send no request, need no right, or carry requests that
// are made elsewhere.
var free = strings.Fields("Close Done Err Forget Hints ID LacksRole LastErr Live MaxPacket Multi NewGroup Permitted Policy Restored Roles Size Standing Suspended Sync Timeout Unwatch Withholds Within")

// uses finds where the programs make a request: "election.create EnsureDirs".
func uses(t *testing.T) (found []string) {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}\t{{.Dir}}\t{{.GoFiles}}"}, programs...)...)
	list.Dir = "../.."
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	positions := token.NewFileSet()
	from := importer.ForCompiler(positions, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for l := range strings.Lines(string(out)) { // a package comes after those that it imports
		f := strings.Split(strings.TrimSpace(l), "\t")
		path, dir, names := f[0], f[2], strings.Fields(strings.Trim(f[3], "[]"))
		exports[path] = f[1]
		if !strings.HasPrefix(path, "taskkeeper/") {
			continue
		}
		var files []*ast.File
		for _, name := range names {
			file, err := parser.ParseFile(positions, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
		if _, err := (&types.Config{Importer: from}).Check(path, positions, files, info); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, decl := range file.Decls {
				site := file.Name.Name + "." + name(decl)
				ast.Inspect(decl, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						if r := request(t, info.Uses[id]); r != "" && !itself(site) {
							found = append(found, site+" "+r)
						}
					}
					return true
				})
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// itself says whether a function is a request of package session: then its calls of
// go-zookeeper need no line of their own.
func itself(site string) bool {
	method, ok := strings.CutPrefix(site, "session.Session.")
	return ok && (needs[method] != "" || slices.Contains(free, method))
}

// name returns the name of a function, or of a method with its type.
func name(decl ast.Decl) string {
	fn, ok := decl.(*ast.FuncDecl)
	switch {
	case !ok:
		return "var"
	case fn.Recv == nil:
		return fn.Name.Name
	}
	recv := fn.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	if generic, ok := recv.(*ast.IndexExpr); ok {
		recv = generic.X
	}
	return fmt.Sprint(recv) + "." + fn.Name.Name
}

// request returns the name of a request; "" for any other object.
func request(t *testing.T, o types.Object) string {
	fn, ok := o.(*types.Func)
	if !ok || fn.Pkg() == nil {
		return ""
	}
	of, result := "", ""
	if recv := fn.Signature().Recv(); recv != nil {
		of = types.TypeString(recv.Type(), (*types.Package).Name)
	}
	if results := fn.Signature().Results(); results.Len() == 1 {
		result = types.TypeString(results.At(0).Type(), (*types.Package).Name)
	}
	switch fn.Pkg().Path() {
	case "taskkeeper/internal/session":
		switch {
		case !fn.Exported() || of != "*session.Session" && (of != "" || result != "session.Op"):
			return ""
		case needs[fn.Name()] == "" && !slices.Contains(free, fn.Name()):
			t.Errorf("session has %s: say in this test, in needs or in free, which right it needs", fn.Name())
		}
		if needs[fn.Name()] != "" {
			return fn.Name()
		}
	case "github.com/go-zookeeper/zk":
		if of == "*zk.Conn" && fn.Name() != "Close" {
			return "zk." + fn.Name()
		}
	}
	return ""
}

// calls is the file that says for each request which roles make it, and on which znodes.
const calls = "testdata/calls"

// A call is a line of it.
type call struct {
	use    string   // "election.create EnsureDirs"
	roles  []string // who makes it
	rights []string // "/tasks/x r"
}

func readCalls(t *testing.T) (all []call) {
	t.Helper()
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		f := strings.Fields(l)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) < 4 {
			t.Fatalf("%s: %q: want a function, a request, roles with commas between, and znodes, * or -", calls, l)
		}
		c := call{use: f[0] + " " + f[1], roles: strings.Split(f[2], ",")}
		for _, znode := range f[3:] {
			if znode != "-" && znode != "*" {
				c.rights = append(c.rights, znode+" "+right(f[1]))
			}
		}
		all = append(all, c)
	}
	return all
}

func right(request string) string {
	switch request {
	case "zk.Create":
		return "c"
	case "zk.Exists", "zk.ExistsW":
		return "r"
	}
	return needs[request]
}

// granted returns the rights of the table: "worker /tasks/x r". The admin, who has all rights,
// and the creators' mark, which is none, are left out.
func granted() map[string]bool {
	all := make(map[string]bool)
	for znode, r := range table {
		for who, letters := range map[string]string{
			"master": r.master, "worker": r.worker, "client": r.client + Letters(rights(r.creator)&^CreatorMark), "viewer": r.viewer, "everyone": r.everyone,
		} {
			for _, letter := range letters {
				all[fmt.Sprintf("%s %s %c", who, znode, letter)] = true
			}
		}
	}
	return all
}

// A new request needs a line with its right. A right that no request needs any more is found.
func TestEachRightIsNeededByARequestAndEachRequestHasItsRight(t *testing.T) {
	found, listed := uses(t), readCalls(t)
	for _, use := range found {
		if !slices.ContainsFunc(listed, func(c call) bool { return c.use == use }) {
			t.Errorf("%s is not in %s: add a line with who makes the request, and of which znodes", use, calls)
		}
	}
	has, unneeded := granted(), granted()
	for _, c := range listed {
		if !slices.Contains(found, c.use) {
			t.Errorf("%s: no program makes the request %s any more: delete the line", calls, c.use)
		}
		for _, role := range c.roles {
			for _, right := range c.rights {
				if role != "admin" && !has[role+" "+right] && !has["everyone "+right] {
					t.Errorf("%s: %s is made as %s, which has no right %s", calls, c.use, role, right)
				}
				delete(unneeded, role+" "+right)
			}
		}
	}
	for _, right := range slices.Sorted(maps.Keys(unneeded)) {
		t.Errorf("the table grants %s, and nothing needs it", right)
	}
}
