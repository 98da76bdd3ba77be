package mutants

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// workshop is where rules are taken away: a checkout, Go, and a temporary folder.
type workshop struct {
	root, goTool, dir string
}

// open finds what is needed. The caller must close the workshop.
func open() (w workshop, err error) {
	if w.root, err = zktest.Checkout(); err != nil {
		return w, fmt.Errorf("a rule is taken away in the source: %w", err)
	}
	for _, name := range []string{"go", "/usr/local/go/bin/go"} { // the second is where Go's own installer puts it
		if w.goTool, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return w, errors.New("a rule is taken away in the source, and Go is missing to build it: see https://go.dev/dl")
	}
	w.dir, err = os.MkdirTemp("", "taskkeeper-mutants-")
	return w, err
}

func (w workshop) close() { _ = os.RemoveAll(w.dir) }

// Build builds master, worker and client without a rule, and returns the folder that they are in.
// The caller must call remove.
func Build(ctx context.Context, r Rule) (dir string, remove func(), err error) {
	w, err := open()
	if err != nil {
		return "", nil, err
	}
	overlay, err := r.overlay(w.root, w.dir)
	if err == nil {
		// With -trimpath, as make build does: then only what the patch changes is compiled.
		err = w.tool(ctx, "build", "-trimpath", "-overlay", overlay, "-ldflags", "-X taskkeeper/internal/cli.version=without-"+r.Name,
			"-o", w.dir+"/", "./cmd/master", "./cmd/worker", "./cmd/client")
	}
	if err != nil {
		w.close()
		return "", nil, fmt.Errorf("build without the rule %s: %w", r.Name, err)
	}
	return w.dir, w.close, nil
}

// tool runs the go command in the checkout.
func (w workshop) tool(ctx context.Context, args ...string) error {
	p, status, err := run(ctx, harness.Command{Path: w.goTool, Args: args, Dir: w.root})
	if err == nil && status != 0 {
		err = fmt.Errorf("go %s: %s", strings.Join(args, " "), p.Stderr)
	}
	return err
}

// run runs a command to its end. When ctx ends before, all that it has started is killed.
func run(ctx context.Context, c harness.Command) (p *harness.Process, status int, err error) {
	if p, err = harness.Start(c); err != nil {
		return nil, 0, err
	}
	defer p.Kill()
	if status, err = p.Wait(ctx); err != nil {
		err = ctx.Err() // why it was interrupted says enough
	}
	return p, status, err
}

// compile compiles the tests of a package, with an overlay or without, "".
func (w workshop) compile(ctx context.Context, pkg, overlay string) (binary string, err error) {
	binary = filepath.Join(w.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	args := []string{"test", "-c", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	return binary, w.tool(ctx, append(args, "./"+pkg)...)
}
