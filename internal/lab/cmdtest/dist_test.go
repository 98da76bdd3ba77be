package cmdtest

import (
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runIn runs a command in a folder, and returns what it prints.
func runIn(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// newRepository makes a repository with this source as its only commit.
func newRepository(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	runIn(t, "../../..", nil, "cp", "-r", "cmd", "internal", "scripts", "Makefile", "README.md", "go.mod", "go.sum", ".gitignore", dir)
	env := []string{"GIT_CONFIG_GLOBAL=/dev/null"}
	for _, who := range []string{"GIT_AUTHOR", "GIT_COMMITTER"} {
		env = append(env, who+"_NAME=test", who+"_EMAIL=test@example.org", who+"_DATE=2001-02-03T04:05:06Z")
	}
	runIn(t, dir, env, "git", "init", "-q")
	runIn(t, dir, env, "git", "add", ".")
	runIn(t, dir, env, "git", "commit", "-q", "-m", "all")
	return dir
}

// files returns the paths of the files below a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMakeDist(t *testing.T) {
	t.Parallel()
	one := newRepository(t)
	two := filepath.Join(t.TempDir(), "a longer name")
	runIn(t, one, nil, "git", "clone", "-q", one, two)
	if err := os.Chmod(filepath.Join(two, "README.md"), 0o600); err != nil { // another umask
		t.Fatal(err)
	}
	version := strings.TrimSpace(runIn(t, one, nil, "git", "rev-parse", "--short=12", "HEAD"))
	var sums []string
	for _, dir := range []string{one, two} {
		runIn(t, dir, nil, "make", "dist")
		runIn(t, filepath.Join(dir, "dist"), nil, "sha256sum", "--check", "SHA256SUMS")
		var all string
		for _, arch := range []string{"amd64", "arm64"} {
			name := "taskkeeper-" + version + "-linux-" + arch + ".tar.gz"
			text := readFile(t, filepath.Join(dir, "dist", name))
			all += fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(text)), name)
		}
		sums = append(sums, all)
		if got, err := os.ReadFile(filepath.Join(dir, "dist/SHA256SUMS")); err != nil || string(got) != all {
			t.Errorf("SHA256SUMS, %v:\n%s\nwant\n%s", err, got, all)
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("the same source gives other bytes elsewhere:\n%s\n%s", sums[0], sums[1])
	}

	var lists [2][]string
	for i, machine := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
		arch := []string{"amd64", "arm64"}[i]
		prefix := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(prefix, "bin"), 0o700), os.Chmod(filepath.Join(prefix, "bin"), 0o770)); err != nil {
			t.Fatal(err)
		}
		runIn(t, prefix, nil, "tar", "--strip-components=1", "-xzf", filepath.Join(one, "dist/taskkeeper-"+version+"-linux-"+arch+".tar.gz"))
		lists[i] = files(t, prefix)
		if bin, err := os.Stat(filepath.Join(prefix, "bin")); err != nil || bin.Mode().Perm() != 0o770 {
			t.Errorf("bin/ has become %v, %v", bin.Mode(), err)
		}
		for _, program := range []string{"client", "master", "worker"} {
			name := "taskkeeper-" + program
			f, err := elf.Open(filepath.Join(prefix, "bin", name))
			if err != nil {
				t.Fatal(err)
			}
			dynamic, _ := f.DynString(elf.DT_NEEDED)
			if f.Machine != machine || f.Section(".symtab") != nil || f.Section(".interp") != nil || len(dynamic) > 0 {
				t.Errorf("%s of %s: for %s, it needs %q; want a static, stripped one", name, arch, f.Machine, dynamic)
			}
			f.Close()
			if elf.EM_X86_64 == machine {
				if got := runIn(t, prefix, nil, "bin/"+name, "--version"); got != name+" "+version+"\n" {
					t.Errorf("version %q", got)
				}
				if got := runIn(t, prefix, nil, "bin/"+name, "--help"); !strings.Contains(got, "\nUsage:\n  "+name) {
					t.Errorf("help:\n%s", got)
				}
			}
		}
	}
	if !slices.Equal(lists[0], lists[1]) {
		t.Errorf("of amd64 %q\nof arm64 %q", lists[0], lists[1])
	}

	t.Run("archives_hold_what_make_install_installs_and_make_uninstall_removes", func(t *testing.T) {
		dest := t.TempDir()
		runIn(t, two, nil, "make", "install", "DESTDIR="+dest, "PREFIX=/opt/tk")
		got := files(t, filepath.Join(dest, "opt/tk"))
		if !slices.Equal(got, lists[0]) {
			t.Errorf("installed %q\nand in the archive are %q", got, lists[0])
		}
		if all := files(t, dest); len(all) != len(got) {
			t.Errorf("installed elsewhere, too: %q", all)
		}
		for _, want := range []string{"bin/taskkeeper-worker", "share/man/man1/taskkeeper-client.1", "share/man/man8/taskkeeper-master.8",
			"share/bash-completion/completions/taskkeeper-client", "share/zsh/site-functions/_taskkeeper-client", "share/fish/vendor_completions.d/taskkeeper-client.fish",
			"lib/systemd/system/taskkeeper-worker@.service", "lib/sysusers.d/taskkeeper.conf", "share/doc/taskkeeper/README.md", "share/doc/taskkeeper/taskkeeper.env",
			"share/doc/taskkeeper/zoo-tls.cfg", "share/doc/taskkeeper/certificates", "share/doc/taskkeeper/zookeeper",
			"share/taskkeeper/alerts.yml"} {
			if !slices.Contains(got, want) {
				t.Errorf("%s is not there", want)
			}
		}
		for _, name := range []string{"certificates", "zookeeper"} {
			if got := runIn(t, dest, nil, "opt/tk/share/doc/taskkeeper/"+name, "--help"); !strings.HasPrefix(got, "usage: ") {
				t.Errorf("%s: %s", name, got)
			}
		}
		unit, err := os.ReadFile(filepath.Join(dest, "opt/tk/lib/systemd/system/taskkeeper-master.service"))
		if err != nil || !strings.Contains(string(unit), "\nExecStart=/opt/tk/bin/taskkeeper-master $MASTER_ARGS\n") || strings.Contains(string(unit), "/usr/local") {
			t.Errorf("unit, %v:\n%s", err, unit)
		}
		alerts := readFile(t, filepath.Join(dest, "opt/tk/share/taskkeeper/alerts.yml"))
		if !strings.Contains(alerts, " /opt/tk/share/doc/taskkeeper/zookeeper status ") || strings.Contains(alerts, "/usr/local") {
			t.Errorf("alerts:\n%s", alerts)
		}
		runIn(t, two, nil, "make", "uninstall", "DESTDIR="+dest, "PREFIX=/opt/tk")
		if left := files(t, dest); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}
