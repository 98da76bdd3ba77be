package harness

import (
	"slices"
	"strings"
	"testing"

	"taskkeeper/internal/identity"
)

func TestACommandHasTheRoleOfTheProgramAndItsVerb(t *testing.T) {
	for command, want := range map[string]string{
		"/bin/master":                                        "master",
		"/tmp/x/worker|--slots|2":                            "worker",
		"bin/client":                                         "client",
		"bin/client|--count|5":                               "client",
		"bin/client|run|--|echo|status":                      "client",
		"bin/client|wait|x":                                  "client",
		"bin/client|status|--watch":                          "viewer",
		"bin/client|--zk|h:1/doctor|explain|x":               "admin",
		"bin/client|run|0|--wait-for-workers|2":              "admin",
		"bin/client|drain|node":                              "admin",
		"bin/client|doctor|--mend":                           "admin",
		"/usr/bin/taskkeeper-client|undrain|node":            "admin",
		"ip|netns|exec|h|bin/master|--zk|h:1":                "master",
		`/bin/sh|-c|"$1" submit --zk "$2"|sh|bin/client|h:1`: "client",
		"script|-qec|/tmp/worker --zk h:1|/dev/null":         "worker",
		"/bin/sh|-c|exit 3":                                  "",
		"bin/election|--zk|h:1":                              "admin",
	} {
		if got := roleOf(strings.Split(command, "|")); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

func TestACommandHasTheCertificateOfItsRole(t *testing.T) {
	of := func(role string) identity.Files {
		return identity.Files{CA: "ca", Cert: role + ".pem", Key: role + ".key"}
	}
	c := sh("echo $ZK_TLS_CA $ZK_TLS_CERT $ZK_TLS_KEY # client drain")
	c.Identity, c.Env = of, []string{"ZK_TLS_KEY=own"}
	p := Run(t, c)
	p.Exit(0)
	if got := p.Stdout.Lines(); !slices.Equal(got, []string{"ca admin.pem own"}) {
		t.Errorf("%q", got)
	}
	if env := Environment(func(string) identity.Files { return identity.Files{} }, "master"); env != nil {
		t.Errorf("without TLS: %q", env)
	}
}
