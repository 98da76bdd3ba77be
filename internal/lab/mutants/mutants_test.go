package mutants

import (
	"path"
	"strings"
	"testing"
)

func workshopOf(t *testing.T) workshop {
	t.Helper()
	w, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// TestRules has a subtest for each rule whose patch is to be mended.
func TestRules(t *testing.T) {
	names := make(map[string]bool)
	for _, r := range Rules {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			w := workshopOf(t)
			overlay, err := r.overlay(w.root, w.dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.tool(t.Context(), "build", "-overlay", overlay, "./"+path.Dir(r.File)); err != nil {
				t.Error(err)
			}
		})
		if names[r.Name] {
			t.Errorf("two rules are named %s", r.Name)
		}
		names[r.Name] = true
		for _, says := range []string{r.Says, r.Prevents} {
			if !strings.HasSuffix(says, ".") {
				t.Errorf("%s: %q is no sentence", r.Name, says)
			}
		}
	}
}
