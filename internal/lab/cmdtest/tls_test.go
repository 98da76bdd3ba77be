package cmdtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// variables are how an environment names a process's files for TLS.
func variables(f identity.Files) []string {
	return []string{"ZK_TLS_CA=" + f.CA, "ZK_TLS_CERT=" + f.Cert, "ZK_TLS_KEY=" + f.Key}
}

func flags(f identity.Files) []string {
	return []string{"--tls-ca", f.CA, "--tls-cert", f.Cert, "--tls-key", f.Key}
}

func TestTLS(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	start := func(t *testing.T, env []string, program string, args ...string) *harness.Child {
		t.Helper()
		return harness.Run(t, harness.Command{Path: filepath.Join(dir, program), Args: args, In: "x\n", Env: append(env, "ZK_SERVERS="+server.Addr())})
	}
	m := start(t, variables(server.Identity("master")), "master")
	m.Line(m.Stderr, "candidate=")

	t.Run("is_spoken_by_all_programs_by_flags_and_by_variables", func(t *testing.T) {
		election := start(t, nil, "election", flags(server.Identity("master"))...)
		election.Line(election.Stdout, "leader: false")
		start(t, variables(server.Identity("client")), "example", "--tls-ca", server.Identity("client").CA).Exit(0)
		start(t, append(variables(server.Identity("viewer")), "ZK_TLS_CA=/nowhere"), "client", "status", "--tls-ca", server.Identity("viewer").CA).Exit(0)
	})

	t.Run("is_nothing_that_a_command_sees_of_its_worker", func(t *testing.T) {
		worker := server.Identity("worker")
		see := `tr '\0' '\n' </proc/self/environ; tr '\0' '\n' </proc/$PPID/environ; ls -l /proc/self/fd`
		for name, args := range map[string][]string{
			"with_exec":        {"--shell", "--exec", see},
			"with_any-command": {"--any-command"},
		} {
			t.Run(name, func(t *testing.T) {
				w := start(t, append(variables(worker), "SEEN=1"), "worker", args...)
				w.Line(w.Stderr, "registered")
				run := []string{"run", "0"}
				if name == "with_any-command" {
					run = []string{"run", "--", "sh", "-c", see}
				}
				c := start(t, variables(server.Identity("client")), "client", run...)
				c.Exit(0)
				var seen, open []string
				for _, line := range c.Stdout.Lines() {
					if strings.HasPrefix(line, "SEEN=") {
						seen = append(seen, line)
					}
					if strings.Contains(line, identity.VariablePrefix) || strings.Contains(line, filepath.Dir(worker.Key)) {
						t.Errorf("it sees %s", line)
					}
					if _, fd, ok := strings.Cut(line, " -> "); ok {
						open = append(open, regexp.MustCompile(`\d+`).ReplaceAllString(fd, "N"))
					}
				}
				if len(seen) != 2 {
					t.Errorf("it sees the environment of itself and its supervisor as %q", seen)
				}
				slices.Sort(open)
				want := []string{"/proc/N/fd", "pipe:[N]", "pipe:[N]", "pipe:[N]"} // its input is the payload
				if name == "with_any-command" {
					want = []string{"/dev/null", "/proc/N/fd", "pipe:[N]", "pipe:[N]"}
				}
				if !slices.Equal(open, want) {
					t.Errorf("it has open %q, want %q", open, want)
				}
				w.Kill()
			})
		}
	})
}

func TestFilesForTLSThatAreOfNoUse(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	ca, err := zktest.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good, err := ca.Issue(zktest.Request{CN: "tk-worker"})
	if err != nil {
		t.Fatal(err)
	}
	late, err := ca.Issue(zktest.Request{CN: "tk-late", NotAfter: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	exposed := filepath.Join(t.TempDir(), "exposed.key")
	key, err := os.ReadFile(good.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exposed, key, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"master", "worker", "client", "election", "example"} {
		for _, tt := range []struct {
			env    []string
			args   []string
			status int
			want   string
		}{
			{nil, []string{"--tls-cert", good.Cert}, 2, "--tls-cert needs the certificate's key: give --tls-key or $ZK_TLS_KEY (see '" + program + " --help')"},
			{[]string{"ZK_TLS_CERT=" + good.Cert, "ZK_TLS_KEY=" + good.Key}, nil, 2, "$ZK_TLS_CERT needs the certificate of the CA that signs the servers': give --tls-ca or $ZK_TLS_CA (see"},
			{nil, flags(late), 1, "--tls-cert " + late.Cert + ": the certificate CN=tk-late expired at "},
			{append(variables(good), "ZK_TLS_KEY="+exposed), nil, 1, "$ZK_TLS_KEY " + exposed + ": other users have rights to this key (mode 0644): chmod 600 " + exposed},
		} {
			c := harness.Run(t, harness.Command{Path: filepath.Join(dir, program), Args: append(tt.args, "--zk", "127.0.0.1:1"), Env: tt.env})
			c.Exit(tt.status)
			oneLine(t, c, program+": "+tt.want)
		}
	}
}
