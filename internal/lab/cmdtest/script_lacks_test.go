package cmdtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taskkeeper/internal/lab/zktest"
)

// With a file that is missing or unusable ZooKeeper would start, and serve nobody.
func TestZooKeeperScriptLacksWhatTLSNeeds(t *testing.T) {
	t.Parallel()
	t.Run("says_what_is_missing", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		start := []string{"start", "--no-install", "--tls", "--port", port}
		path := os.Getenv("PATH")
		p.setenv("PATH", pathWithout(t, "openssl"))
		p.zookeeper(1, `^\nscripts/zookeeper: openssl is missing; run: scripts/zookeeper install --tls$`, start...)
		p.write(".zk/"+port+"/zoo.cfg", "secureClientPort="+port+"\nssl.trustStore.location=/nonexistent/ca.pem\n", 0o600)
		p.zookeeper(1, `asking it needs openssl \(Debian: apt-get install openssl\)`, "status", "--port", port)

		p.setenv("PATH", path)
		p.setenv("JAVA_HOME", "/nonexistent")
		p.zookeeper(1, `^\nscripts/zookeeper: JAVA_HOME=/nonexistent has no bin/java: set it to a Java, or unset it$`, start...)
		p.setenv("JAVA_HOME", "")
		p.setenv("PATH", pathWithout(t, "java"))
		p.zookeeper(1, `^\nscripts/zookeeper: default-jre-headless is missing; run: scripts/zookeeper install --tls$`, start...)
	})
	t.Run("takes_Netty_from_an_unpacked_ZooKeeper_or_says_what_it_lacks", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		start := []string{"start", "--no-install", "--heap", "128", "--tls", "--port", port}
		lib := unpacked(t)
		p.setenv("ZOOKEEPER_HOME", filepath.Dir(lib))
		t.Cleanup(func() { p.stop("--port", port) })
		p.zookeeper(0, `(?m)^127\.0\.0\.1:`+port+`$`, start...)
		p.zookeeper(0, `(?m)^x509: CN=tk-worker$`, "shell", "--as", "worker", "whoami")
		p.zookeeper(0, `^stopped: `, "stop")
		lacks := func(name string) {
			t.Helper()
			p.zookeeper(1, `^\nscripts/zookeeper: ZOOKEEPER_HOME=`+filepath.Dir(lib)+` has no lib/`+name+`\*\.jar, which TLS needs: take an Apache ZooKeeper as it is unpacked, 3\.5\.5 or newer$`, start...)
		}
		for _, name := range []string{"netty-resolver", "netty-codec", "netty-handler"} {
			p.removeAll(filepath.Join(lib, name+"*.jar"))
			lacks(name)
		}
		p.write(filepath.Join("3.4", "lib", "netty-3.10.5.Final.jar"), "", 0o600)
		p.write(filepath.Join("3.4", "zookeeper-3.4.14.jar"), "", 0o600)
		lib = filepath.Join(p.dir, "3.4", "lib")
		p.setenv("ZOOKEEPER_HOME", filepath.Dir(lib))
		lacks("netty-handler")
	})
	t.Run("says_where_Debian_has_Netty", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		lib := unpacked(t)
		script := readFile(t, filepath.Join(p.dir, "scripts/zookeeper"))
		p.write("scripts/zookeeper", strings.Replace(script, "jars=/usr/share/java", "jars="+lib, 1), 0o755)
		p.removeAll(filepath.Join(lib, "netty-*.jar"))
		p.setenv("ZOOKEEPER_HOME", "")
		p.zookeeper(1, `^\nscripts/zookeeper: libnetty-java is missing; run: scripts/zookeeper install --tls$`, "start", "--no-install", "--tls", "--port", port)
		p.setenv("PATH", pathWithout(t, "apt-get"))
		p.zookeeper(1, `^\nscripts/zookeeper: libnetty-java: missing, and no apt-get here: put Java and openssl in PATH and set ZOOKEEPER_HOME to an unpacked Apache ZooKeeper$`, "start", "--tls", "--port", port)
	})
	t.Run("refuses_unusable_files", func(t *testing.T) {
		t.Parallel()
		p, port := newProject(t, "zookeeper", "certificates"), freePort(t)
		p.certificates(0, `made server.pem`)
		certs, broken := filepath.Join(p.dir, "tls"), filepath.Join(p.dir, ".zk", port, "tls")
		good := contents(t, certs)
		other := newCA(t)(zktest.Request{CN: "tk-server", Hosts: []string{"127.0.0.1"}}) // of another CA
		foreignServer := readFile(t, other.Cert)
		_, onlyCertificate, _ := strings.Cut(good["server.pem"], "-----END PRIVATE KEY-----\n")
		from := ` from where scripts/certificates made `
		for _, tt := range []struct{ file, text, want string }{
			{"ca.pem", "", `/ca.pem is missing: copy it` + from + `it`},
			{"ca.pem", "junk", `/ca.pem holds no certificate: copy it` + from + `it`},
			{"server.pem", "junk", `/server.pem holds no certificate: copy it` + from + `it`},
			{"server.pem", onlyCertificate, `/server.pem does not hold the key of ` + broken + `/server.pem: copy both` + from + `them`},
			{"server.pem", foreignServer, `/server.pem is not signed by ` + broken + `/ca.pem: copy both` + from + `them`},
			{"viewer.pem", "", `/viewer.pem is missing: copy it` + from + `it`},
			{"viewer.key", "junk", `/viewer.key does not hold the key of ` + broken + `/viewer.pem: copy both` + from + `them`},
		} {
			for name, text := range good {
				p.write(filepath.Join(".zk", port, "tls", name), text, 0o600)
			}
			if tt.text == "" {
				p.removeAll(filepath.Join(broken, tt.file))
			} else {
				p.write(filepath.Join(".zk", port, "tls", tt.file), tt.text, 0o600)
			}
			p.zookeeper(1, `^\nscripts/zookeeper: `+broken+tt.want+`$`, "start", "--no-install", "--heap", "128", "--port", port)
		}
		p.removeAll(filepath.Join(p.dir, ".zk"))
	})
}

// unpacked is the folder of jars of a ZooKeeper that is laid out as Apache's: that of the
// environment, or Debian's, whose zookeeper.jar names most of what it needs.
func unpacked(t *testing.T) (lib string) {
	t.Helper()
	var jars []string
	if home := os.Getenv("ZOOKEEPER_HOME"); home != "" {
		jars, _ = filepath.Glob(filepath.Join(home, "lib/*.jar"))
	} else {
		for _, name := range []string{"zookeeper", "slf4j-simple", "netty-handler", "netty-codec", "netty-resolver"} {
			jars = append(jars, filepath.Join("/usr/share/java", name+".jar"))
		}
	}
	lib = filepath.Join(t.TempDir(), "lib")
	if err := os.Mkdir(lib, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, jar := range jars {
		if err := os.Symlink(jar, filepath.Join(lib, filepath.Base(jar))); err != nil {
			t.Fatal(err)
		}
	}
	return lib
}

// removeAll removes what a pattern matches.
func (p *project) removeAll(pattern string) {
	p.t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		p.t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			p.t.Fatal(err)
		}
	}
}

// pathWithout is a PATH that has all commands but one.
func pathWithout(t *testing.T, command string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		entries, _ := os.ReadDir(from)
		for _, e := range entries {
			if e.Name() != command {
				_ = os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())) // the first one holds
			}
		}
	}
	return dir
}
