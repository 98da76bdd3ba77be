package cmdtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/harness"
	"taskkeeper/internal/lab/zktest"
)

// What stands between a program and its server, each program says in one line.
func TestTLSThatDoesNotComeAboutIsOneLineOfEachProgram(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	server := zktest.NewServer(t, zktest.Options{TLS: true})
	foreign, err := zktest.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := zktest.NewServer(t, zktest.Options{TLS: true})
	if _, err := elsewhere.CA().Issue(zktest.Request{CN: "tk-server", Hosts: []string{"elsewhere.test"}}); err != nil {
		t.Fatal(err)
	}
	elsewhere.Terminate()
	if err := elsewhere.Restart(); err != nil {
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
		{"a_server_by_another_name", elsewhere.Addr(), elsewhere.Identity("worker"),
			"its certificate, CN=tk-server, is for elsewhere.test, not for 127.0.0.1: connect by a name that it has"},
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

// What a file holds that is of no use is one line, with the file and the line in it.
func TestFilesForAClosedInstallationThatAreOfNoUse(t *testing.T) {
	zktest.OpenOnly(t, "its servers and its policy are its own")
	t.Parallel()
	dir := harness.Build(t)
	ca, err := zktest.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good, err := ca.Issue(zktest.Request{CN: "tk-admin"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := ca.Issue(zktest.Request{CN: "tk-other"})
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	exposed := file("exposed.key", "")
	if err := os.Chmod(exposed, 0o640); err != nil {
		t.Fatal(err)
	}
	empty := file("empty.pem", "no PEM\n")
	with := func(change func(*identity.Files)) identity.Files {
		f := good
		change(&f)
		return f
	}
	policy := func(text string) []string { return []string{"access", "close", file("policy", text)} }
	for name, tt := range map[string]struct {
		who  identity.Files
		args []string
		want string // $ stands for the last argument
	}{
		"a_key_that_others_may_read":         {with(func(f *identity.Files) { f.Key = exposed }), nil, "--tls-key " + exposed + ": other users have rights to this key (mode 0640): chmod 600 " + exposed},
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
			ctx := t.Context()
			if status, err := c.Wait(ctx); err != nil || status != 1 && status != 2 {
				t.Errorf("exit status %d, %v", status, err)
			}
			oneLine(t, c, "client: "+strings.ReplaceAll(tt.want, "$", args[len(args)-1]))
		})
	}
}
