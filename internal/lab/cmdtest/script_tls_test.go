package cmdtest

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"taskkeeper/internal/identity"
	"taskkeeper/internal/lab/zktest"
)

func TestZooKeeperScriptWithTLS(t *testing.T) {
	t.Parallel()
	t.Run("demands_a_certificate_of_everyone", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		dir := filepath.Join(p.dir, ".zk", port)
		certs := filepath.Join(dir, "tls")
		t.Cleanup(func() { p.stop("--port", port) })
		p.zookeeper(0, `(?m)^127\.0\.0\.1:`+port+`\n(.|\n)*^  export ZK_TLS_CA=`+certs+`/ca.pem\n  export ZK_TLS_CERT=`+certs+`/client.pem\n`+
			`  export ZK_TLS_KEY=`+certs+`/client.key\nfor admin, master, worker, viewer: .* in `+certs+`$`, "start", "--no-install", "--heap", "128", "--tls", "--port", port)
		p.zookeeper(0, `^running: pid \d+, 127\.0\.0\.1:`+port+`(.|\n)*Mode: standalone`, "status")
		made := contents(t, certs)

		addr := "127.0.0.1:" + port
		if answer := word(t, addr, identity.Files{}, "srvr"); answer != "" {
			t.Errorf("without TLS it answers %q", answer)
		}
		viewer := identity.Files{CA: certs + "/ca.pem", Cert: certs + "/viewer.pem", Key: certs + "/viewer.key"}
		if answer := word(t, addr, viewer, "srvr"); !strings.Contains(answer, "Mode: standalone") {
			t.Errorf("srvr: %q", answer)
		}
		for _, w := range []string{"cons", "dump", "wchp", "wchc", "stat"} { // they show ids and addresses
			if answer := word(t, addr, viewer, w); !strings.Contains(answer, "not in the whitelist") {
				t.Errorf("%s: %q", w, answer)
			}
		}

		p.zookeeper(0, `(?m)^x509: CN=tk-master$`, "shell", "--as", "master", "whoami")
		p.zookeeper(0, `Created /secret`, "shell", "create", "/secret", "x", "x509:CN=tk-admin:cdrwa")
		p.zookeeper(1, `Insufficient permission : /secret`, "shell", "--as", "worker", "get", "/secret")
		p.zookeeper(1, `no certificate of alice in `+certs+`; make one: scripts/certificates `+certs+` alice`, "shell", "--as", "alice", "ls", "/")

		t.Run("demands_a_certificate_for_servers_that_another_checkout_started", func(t *testing.T) {
			says := `name your certificate: \$ZK_TLS_CA, \$ZK_TLS_CERT and \$ZK_TLS_KEY must name the files of the CA, a certificate and its key$`
			p.zookeeper(1, `^`+addr+` +speaks TLS +zxid - +connections -\n127\.0\.0\.1:1 +no answer [^\n]*\nfor a server that speaks TLS, `+says, "status", "--zk", addr+",127.0.0.1:1")
			p.zookeeper(1, `^\nscripts/zookeeper: `+addr+`: it speaks TLS; `+says, "shell", "--zk", "127.0.0.1:1,"+addr+"/app", "ls", "/")
			t.Cleanup(func() { p.env = nil })
			p.setenv("ZK_TLS_CA", viewer.CA)
			p.zookeeper(1, `'' cannot be read: \$ZK_TLS_CA, \$ZK_TLS_CERT and \$ZK_TLS_KEY must name three files`, "status", "--zk", addr)
			p.setenv("ZK_TLS_CERT", viewer.Cert)
			p.setenv("ZK_TLS_KEY", viewer.Key)
			p.zookeeper(0, `^localhost:`+port+` +standalone +zxid 0x\w+ +connections \d+\n127\.0\.0\.1:1 +no answer `, "status", "--zk", "localhost:"+port+",127.0.0.1:1/app")
			p.zookeeper(0, `(?m)^x509: CN=tk-viewer$`, "shell", "--zk", addr, "whoami")
			p.zookeeper(1, `leave out --port, --dir and --as`, "shell", "--zk", addr, "--as", "admin", "whoami")
		})
		p.zookeeper(1, `port `+port+` is taken by the ZooKeeper server of `+dir+`; stop it`, "start", "--no-install", "--dir", filepath.Join(p.dir, "other"), "--port", port)
		p.zookeeper(0, `^paused: `, "pause")
		p.zookeeper(1, `but it does not answer`, "status")
		p.zookeeper(0, `^resumed: `, "resume")
		p.zookeeper(0, `^stopped: 127\.0\.0\.1:`+port, "stop")

		// It stays as it was: znodes that are closed are not to be open at the next start.
		p.zookeeper(0, `export ZK_TLS_CA`, "start", "--no-install", "--heap", "128", "--audit", "--port", port)
		p.zookeeper(0, `^running: `, "status")
		p.zookeeper(0, `Created /audited`, "shell", "--as", "worker", "create", "/audited")
		log, err := os.ReadFile(filepath.Join(dir, "log"))
		if entry := regexp.MustCompile(`\tuser=127\.0\.0\.1,CN=tk-worker\t.*\toperation=create\tznode=/audited\t.*result=success`); err != nil || !entry.Match(log) {
			t.Errorf("%v, no audit of a write in its log:\n%s", err, log)
		}
		if !maps.Equal(made, contents(t, certs)) {
			t.Error("it did not keep the certificates that were there")
		}
		for path := range contents(t, dir) {
			if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	})
	t.Run("has_the_servers_of_an_ensemble_talk_by_TLS_alone", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		t.Cleanup(func() { p.stop("--port", port) })
		p.zookeeper(0, `127\.0\.0\.1:\d+,127(.|\n)*export ZK_TLS_CA=`+filepath.Join(p.dir, ".zk", port, "tls/ca.pem"),
			"start", "--no-install", "--heap", "128", "--tls", "--servers", "3", "--port", port)
		p.zookeeper(0, `(?m)^x509: CN=tk-master$`, "shell", "--as", "master", "whoami")
		p.zookeeper(0, `^stopped: `, "stop", "2")
		p.eventually("server 2 is down, and the others have a leader", `(?s) down .* leader | leader .* down `, "status")
		p.zookeeper(0, `^127\.0\.0\.1:\d+`, "start", "--no-install", "--heap", "128", "2")
		p.eventually("all have a leader", `(?s)^([^\n]* (leader|follower) [^\n]*\n?){3}$`, "status")
		for n := range 3 {
			config, err := os.ReadFile(filepath.Join(p.dir, ".zk", port, "server-"+string(rune('1'+n)), "zoo.cfg"))
			if err != nil || !strings.Contains(string(config), "\nsslQuorum=true\n") || strings.Contains(string(config), "\nclientPort=") {
				t.Errorf("server %d: %v\n%s", n+1, err, config)
			}
		}
		p.zookeeper(0, `^stopped: \S+\nstopped: \S+\nstopped: `, "stop")
	})
	t.Run("is_not_mixed_with_a_plain_server", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		p.start("--port", port)
		p.zookeeper(1, `the server has no TLS, so its clients have no names: leave out --as, or start it with --tls`, "shell", "--as", "worker", "ls", "/")
		p.zookeeper(1, `the server in \S+/`+port+` runs without TLS: stop it first`, "start", "--no-install", "--tls", "--port", port)
	})
	t.Run("uses_certificates_that_were_brought_and_makes_none", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		certs := filepath.Join(p.dir, ".zk", port, "tls")
		p.zookeeper(1, `--hosts, and copy it to each host`, "run", "--no-install", "--tls", "--hosts", "127.0.0.1,127.0.0.2", "--port", port, "1")
		ca, err := zktest.NewCA(certs)
		if err != nil {
			t.Fatal(err)
		}
		start := []string{"start", "--no-install", "--heap", "128", "--port", port}
		p.zookeeper(1, certs+`/server.pem is missing: copy it from where scripts/certificates made it`, start...)
		server := zktest.Request{CN: "tk-server", Hosts: []string{"127.0.0.1"}, NotAfter: time.Now().Add(-time.Minute)}
		if _, err := ca.Issue(server); err != nil {
			t.Fatal(err)
		}
		p.zookeeper(1, certs+`/server.pem has expired; renew it: scripts/certificates `+certs+` --renew`, start...)
		server.NotAfter = time.Time{}
		if _, err := ca.Issue(server); err != nil {
			t.Fatal(err)
		}
		p.zookeeper(1, `asking the server for its state needs a certificate in `+certs+`: viewer.pem and viewer.key`, start...)
		if _, err := ca.Issue(zktest.Request{CN: "tk-worker"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.stop("--port", port) })
		p.zookeeper(0, `127\.0\.0\.1:`+port, start...)
		if _, err := os.Stat(filepath.Join(certs, "admin.pem")); err == nil {
			t.Error("it made certificates, with nobody's CA")
		}
	})
}

// word returns what a server answers to a four-letter word; "" if the server does not answer.
func word(t *testing.T, addr string, who identity.Files, w string) string {
	t.Helper()
	conn, err := zktest.Dial(addr, who, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, w)
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "Zoo") && !strings.HasPrefix(string(answer), w) {
		return "" // an alert of TLS
	}
	return string(answer)
}

// contents returns what the files below a folder hold, by their paths.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range files(t, dir) {
		all[name] = readFile(t, filepath.Join(dir, name))
	}
	return all
}

// certificates runs scripts/certificates on the project's folder tls, and fails unless its status is
// this one and its output matches.
func (p *project) certificates(status int, want string, args ...string) {
	p.t.Helper()
	c := p.run("certificates", append([]string{filepath.Join(p.dir, "tls")}, args...)...)
	p.said(c, status, want)
}

func TestCertificatesScript(t *testing.T) {
	t.Parallel()
	p := newProject(t, "certificates")
	certs := filepath.Join(p.dir, "tls")
	p.certificates(0, `^made ca.pem\n(.|\n)*made alice.pem\n(.|\n)*made server.pem\n`, "--hosts", "node1,10.0.0.1", "alice")
	first := contents(t, certs)

	t.Run("makes_one_for_each_role_and_name", func(t *testing.T) {
		verify := func(file, ca, host string, usage ...x509.ExtKeyUsage) *x509.Certificate {
			t.Helper()
			roots := x509.NewCertPool()
			if !roots.AppendCertsFromPEM([]byte(first[ca])) {
				t.Fatalf("no certificate in %s", ca)
			}
			key := strings.TrimSuffix(file, ".pem") + ".key"
			if first[key] == "" {
				key = file
			}
			pair, err := tls.X509KeyPair([]byte(first[file]), []byte(first[key]))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if !strings.HasPrefix(first[key], "-----BEGIN PRIVATE KEY-----") {
				t.Errorf("%s does not begin with a key in PKCS#8, which alone Java reads: %.40s", key, first[key])
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: usage}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if slices.Sort(pair.Leaf.ExtKeyUsage); !slices.Equal(pair.Leaf.ExtKeyUsage, usage) || pair.Leaf.IsCA {
				t.Errorf("%s is for %v", file, pair.Leaf.ExtKeyUsage)
			}
			return pair.Leaf
		}
		for _, name := range append([]string{"alice"}, zktest.Roles...) {
			want := "CN=tk-" + name
			if name == "alice" {
				want = "CN=alice"
			}
			if c := verify(name+".pem", "ca.pem", "", x509.ExtKeyUsageClientAuth); c.Subject.String() != want {
				t.Errorf("%s.pem is of %s", name, c.Subject)
			}
		}
		for _, host := range []string{"localhost", "127.0.0.1", "node1", "10.0.0.1"} {
			verify("server.pem", "ca.pem", host, x509.ExtKeyUsageServerAuth)
			verify("quorum.pem", "quorum-ca.pem", host, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
		}
		for name := range first {
			if info, err := os.Stat(filepath.Join(certs, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	})
	t.Run("keeps_what_is_there", func(t *testing.T) {
		p.certificates(0, `^\nquorum.pem is not for node2: --renew renews it\nserver.pem is not for node2: --renew renews it$`, "--hosts", "node2")
		p.certificates(0, `^made bob.pem\n$`, "bob")
		now := contents(t, certs)
		for name, text := range first {
			if now[name] != text {
				t.Errorf("%s is another one", name)
			}
		}
	})
	t.Run("renews_what_ends_soon_and_what_lacks_a_host_with_the_same_key", func(t *testing.T) {
		before := contents(t, certs)
		p.certificates(0, `^made quorum.pem\nmade server.pem\n$`, "--hosts", "node2", "--renew")
		now := contents(t, certs)
		if end := "-----END PRIVATE KEY-----"; strings.Split(before["server.pem"], end)[0] != strings.Split(now["server.pem"], end)[0] {
			t.Error("server.pem has another key")
		}
		pair, err := tls.X509KeyPair([]byte(now["server.pem"]), []byte(now["server.pem"]))
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"localhost", "node1", "node2", "10.0.0.1"} {
			if err := pair.Leaf.VerifyHostname(host); err != nil {
				t.Error(err)
			}
		}
		p.certificates(0, `^made carol.pem\n$`, "carol", "--days", "1")
		p.certificates(0, `^\ncarol.pem expires on .*: --renew renews it$`, "carol")
		key := contents(t, certs)["carol.key"]
		p.certificates(0, `^made carol.pem\n$`, "carol", "--renew")
		if contents(t, certs)["carol.key"] != key {
			t.Error("carol has another key")
		}
		p.certificates(0, `^\n$`, "carol")
	})
	t.Run("renews_or_tells_all_that_end_soon_unnamed", func(t *testing.T) {
		p.certificates(0, `^made erin.pem\nmade frank.pem\n$`, "--days", "3", "erin", "frank")
		grace := newCA(t)(zktest.Request{CN: "grace", NotAfter: time.Now().Add(time.Hour)}) // of another CA
		brought := readFile(t, grace.Cert)
		p.write("tls/grace.pem", brought, 0o600)
		p.removeAll(filepath.Join(certs, "frank.key"))
		soon := exec.Command("openssl", "req", "-x509", "-key", certs+"/ca.key", "-subj", "/CN=taskkeeper ca", "-days", "3", "-out", certs+"/ca.pem")
		if out, err := soon.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		told := ` expires on [^\n]*: --renew renews it\n`
		other := `grace.pem expires on [^\n]*, and ` + certs + `/ca.pem did not sign it for CN=grace: renew it where it was made`
		p.certificates(0, `^\nca.pem`+told+`erin.pem`+told+`frank.pem`+told+other+`$`)
		p.certificates(0, `^made ca.pem\nmade erin.pem\nmade frank.pem, and another frank.key, which was not there\n`+
			`the old ca.pem expires on [^\n]*: copy the new one to everyone who has it before that\n`+other+`$`, "--renew")
		p.certificates(0, `^\n`+other+`$`)
		if now := contents(t, certs); now["grace.pem"] != brought {
			t.Error("it made grace.pem anew")
		}
		p.removeAll(filepath.Join(certs, "grace.pem"))
	})
	t.Run("refuses_unusable_names_and_numbers", func(t *testing.T) {
		p.certificates(1, `'a,b' is no name for a client`, "a,b")
		p.certificates(1, `'../x' is no name for a client`, "../x")
		p.certificates(1, `the name tk-admin is taken`, "tk-admin")
		p.certificates(1, `the name server is taken`, "server")
		p.certificates(1, `--hosts: 'a b' is no name or address of a host`, "--hosts", "a b")
		p.certificates(1, `--days wants a number from 1 to 9999, not '0'`, "--days", "0")
		p.said(p.run("certificates"), 2, `name the folder for the files`)
		if err := os.Rename(filepath.Join(certs, "ca.key"), filepath.Join(p.dir, "ca.key")); err != nil {
			t.Fatal(err)
		}
		p.certificates(1, certs+`/ca.key is missing: no certificate can be made without it`, "dave")
		if _, err := os.Stat(filepath.Join(certs, "dave.pem")); err == nil {
			t.Error("it made dave's certificate")
		}
		if err := os.Chmod(certs, 0o770); err != nil {
			t.Fatal(err)
		}
		p.certificates(1, `others may write to `+certs)
		p.setenv("PATH", pathWithout(t, "openssl"))
		p.certificates(1, `openssl is missing: put it in PATH \(Debian: apt-get install openssl\)`)
	})
}
