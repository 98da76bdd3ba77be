package cli

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestOnlyMainEndsTheProcess fails if an internal package calls os.Exit.
func TestOnlyMainEndsTheProcess(t *testing.T) {
	internal := os.DirFS("..")
	err := fs.WalkDir(internal, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "lab/zktest/testing.go" {
			return err
		}
		source, err := fs.ReadFile(internal, path)
		if bytes.Contains(source, []byte("os.Exit(")) && path != "cli/doc.go" {
			t.Errorf("internal/%s calls os.Exit", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
