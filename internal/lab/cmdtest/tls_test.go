package cmdtest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// variables returns the variables that name a process's files for TLS.
func variables(f identity.Files) []string {
	return []string{"ZK_TLS_CA=" + f.CA, "ZK_TLS_CERT=" + f.Cert, "ZK_TLS_KEY=" + f.Key}
}

// flags returns the flags that name a process's files for TLS.
func flags(f identity.Files) []string {
	return []string{"--tls-ca", f.CA, "--tls-cert", f.Cert, "--tls-key", f.Key}
}

func TestTLS(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	server := zktest.NewServer(t, zktest.Options{TLS: true}) // its root is open to clients
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

	t.Run("is_hidden_from_the_commands_of_a_worker", func(t *testing.T) {
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

func TestFailedTLSHandshakeIsOneLineOfEachProgram(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	server := zktest.SharedWith(t, zktest.Options{TLS: true})
	_, elsewhere := newRelay(t, "127.0.0.2", server.Addr())
	foreign, err := zktest.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own := server.Identity("worker")
	strange, err := foreign.Issue(zktest.Request{CN: "tk-worker"})
	if err != nil {
		t.Fatal(err)
	}
	plain := zktest.Shared(t).Addr()
	for _, tt := range []struct {
		name, addr string
		who        identity.Files
		want       string
	}{
		{"a_plain_client_on_a_port_with_TLS", server.Addr(), identity.Files{}, "it speaks TLS: is that its secureClientPort? Give --tls-ca or $ZK_TLS_CA"},
		{"TLS_on_a_plain_port", plain, own, "it closed the connection in the TLS handshake: is that its secureClientPort?"},
		{"a_server_of_a_foreign_CA", server.Addr(), identity.Files{CA: strange.CA, Cert: own.Cert, Key: own.Key},
			"its certificate, CN=tk-server, is not signed by a CA in $ZK_TLS_CA " + strange.CA},
		{"a_certificate_of_a_foreign_CA", server.Addr(), identity.Files{CA: own.CA, Cert: strange.Cert, Key: strange.Key},
			"it refused the certificate in $ZK_TLS_CERT " + strange.Cert + ": does the server trust its CA?"},
		{"a_server_by_another_name", elsewhere, own,
			"its certificate, CN=tk-server, is for localhost, 127.0.0.1, not for 127.0.0.2: connect by a name that it has"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all []*harness.Child
			for _, program := range []string{"master", "worker", "client"} {
				c := harness.Command{Path: filepath.Join(dir, program), Args: []string{"--zk", tt.addr, "--wait", "6s", "--log-level", "error"}}
				if !tt.who.IsZero() {
					c.Env = variables(tt.who)
				}
				all = append(all, harness.Run(t, c))
			}
			for _, p := range all {
				p.Exit(1)
				name, _, _ := strings.Cut(p.String(), " ")
				oneLine(t, p, name+": no ZooKeeper at "+tt.addr)
				if text := p.Stderr.String(); !strings.Contains(text, tt.addr+": "+tt.want) {
					t.Errorf("%s\nwant %s", text, tt.want)
				}
			}
		})
	}
}

// newCA returns what issues certificates of a new CA.
func newCA(t *testing.T) (issue func(zktest.Request) identity.Files) {
	t.Helper()
	ca, err := zktest.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return func(r zktest.Request) identity.Files {
		t.Helper()
		files, err := ca.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
}

func TestUnusableFileForTLSIsOneLineOfEachProgram(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	issue := newCA(t)
	good, late := issue(zktest.Request{CN: "tk-worker"}), issue(zktest.Request{CN: "tk-late", NotAfter: time.Now().Add(-time.Hour)})
	exposed := writeFile(t, filepath.Join(t.TempDir(), "exposed.key"), readFile(t, good.Key))
	if err := os.Chmod(exposed, 0o644); err != nil {
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

func TestUnusableFileIsOneLineOfTheClient(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	issue := newCA(t)
	good, other := issue(zktest.Request{CN: "tk-admin"}), issue(zktest.Request{CN: "tk-other"})
	empty := writeFile(t, filepath.Join(t.TempDir(), "empty.pem"), "no PEM\n")
	with := func(change func(*identity.Files)) identity.Files {
		f := good
		change(&f)
		return f
	}
	policy := func(text string) []string {
		return []string{"access", "close", writeFile(t, filepath.Join(t.TempDir(), "policy"), text)}
	}
	for name, tt := range map[string]struct {
		who  identity.Files
		args []string
		want string // $ stands for the last argument
	}{
		"a_key_of_another_certificate":       {with(func(f *identity.Files) { f.Key = other.Key }), nil, "--tls-key " + other.Key + ": it is not the key of the certificate in --tls-cert " + good.Cert},
		"a_CA_s_file_without_a_certificate":  {with(func(f *identity.Files) { f.CA = empty }), nil, "--tls-ca " + empty + ": it holds no certificate in PEM (BEGIN CERTIFICATE)"},
		"a_key_in_place_of_a_certificate":    {with(func(f *identity.Files) { f.Cert = good.Key }), nil, "--tls-cert " + good.Key + `: it holds no certificate in PEM (BEGIN CERTIFICATE), but a block "PRIVATE KEY"`},
		"no_such_file":                       {with(func(f *identity.Files) { f.Key = "/nowhere" }), nil, "--tls-key /nowhere: there is no such file"},
		"a_policy_with_an_unknown_role":      {good, policy("admin x509:CN=a\nroot x509:CN=b\n"), `$: line 2: "root" is no role: want admin, master, worker, client or viewer`},
		"a_policy_with_a_comma_in_a_subject": {good, policy("# who\nadmin x509:CN=a,O=b\n"), `$: line 2: "x509:CN=a,O=b" has a comma, which ZooKeeper's shell cannot read in an ACL: use certificates with a CN alone`},
		"a_policy_with_a_role_twice":         {good, policy("admin x509:CN=a\nadmin x509:CN=b\n"), "$: line 2: admin stands in a line above as well"},
		"a_policy_without_an_admin":          {good, policy("worker x509:CN=a\n"), "$: no line names an admin"},
		"a_policy_that_is_not_there":         {good, []string{"access", "close", "/nowhere"}, "open /nowhere: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			args := tt.args
			if args == nil {
				args = []string{"status"}
			}
			c := harness.Run(t, harness.Command{Path: filepath.Join(dir, "client"), Args: append(append(flags(tt.who), "--zk", "127.0.0.1:1", "--wait", "1s"), args...)})
			if status, err := c.Wait(t.Context()); err != nil || status != 1 && status != 2 {
				t.Errorf("exit status %d, %v", status, err)
			}
			oneLine(t, c, "client: "+strings.ReplaceAll(tt.want, "$", args[len(args)-1]))
		})
	}
}

// relay passes bytes on to a server, and cuts connections. Unlike zktest.Proxy it does not read the
// requests, so that TLS reaches from the client to the server.
type relay struct {
	listener net.Listener
	to       string
	all      sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns []net.Conn
}

// newRelay returns a relay on one of the addresses of this machine, and the connect string that leads
// through it.
func newRelay(t *testing.T, host, connectString string) (*relay, string) {
	t.Helper()
	server, _, _ := strings.Cut(connectString, "/")
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: server}
	r.all.Go(r.accept)
	t.Cleanup(func() {
		l.Close()
		r.cut()
		r.all.Wait()
	})
	return r, l.Addr().String() + strings.TrimPrefix(connectString, server)
}

func (r *relay) accept() {
	for {
		in, err := r.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to)
		if err != nil {
			in.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, in, out)
		r.mu.Unlock()
		pass := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			to.Close()
			from.Close()
		}
		r.all.Go(func() { pass(out, in) })
		r.all.Go(func() { pass(in, out) })
	}
}

// cut closes all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}
