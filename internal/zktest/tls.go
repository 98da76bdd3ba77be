package zktest

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"taskkeeper/internal/identity"
)

// Roles are whose certificates a server with TLS has, with the subjects CN=tk-admin and so on.
var Roles = []string{"admin", "master", "worker", "client", "viewer"}

// admins are the identities that a Hand takes, and whoever asks or expires, by the address
// of each server of this process that has TLS. Only there are they known.
var admins sync.Map

// adminOf is for the first server of a connect string; zero without TLS.
func adminOf(connectString string) identity.Files {
	addr, _, _ := strings.Cut(connectString, "/")
	addr, _, _ = strings.Cut(addr, ",")
	files, _ := admins.Load(addr)
	who, _ := files.(identity.Files)
	return who
}

// certify makes the certificates of the servers below a folder, where scripts/zookeeper looks
// for them. The servers talk to each other with certificates of a CA of their own.
func certify(dir string, hosts []string) (*CA, error) {
	dir = filepath.Join(dir, "tls")
	ca, err := NewCA(dir)
	if err != nil {
		return nil, err
	}
	quorum, err := newCA(filepath.Join(dir, "quorum-ca.pem"))
	if err != nil {
		return nil, err
	}
	hosts = append([]string{"localhost", host}, hosts...)
	if _, err := quorum.Issue(Request{CN: "tk-quorum", Hosts: hosts, peer: true}); err != nil {
		return nil, err
	}
	if _, err := ca.Issue(Request{CN: "tk-server", Hosts: hosts}); err != nil {
		return nil, err
	}
	for _, role := range Roles {
		if _, err := ca.Issue(Request{CN: "tk-" + role}); err != nil {
			return nil, err
		}
	}
	return ca, nil
}

// CA is the one that the server trusts; nil without TLS. It can issue tk-server anew, with
// other hosts or another end; the server reads that at its next start.
func (s *Server) CA() *CA { return s.ca }

// Identity is that of one of the Roles; the zero value where the server has no TLS.
func (s *Server) Identity(role string) identity.Files {
	if s.ca == nil {
		return identity.Files{}
	}
	return s.ca.files(role)
}

// Dial connects to a server as somebody, with TLS unless that is the zero value. It takes
// any certificate of the server's: a test may well have given it a wrong one.
func Dial(addr string, who identity.Files, limit time.Duration) (net.Conn, error) {
	d := &net.Dialer{Timeout: limit}
	if who.IsZero() {
		return d.Dial("tcp", addr)
	}
	config := &tls.Config{InsecureSkipVerify: true}
	if who.Cert != "" {
		pair, err := tls.LoadX509KeyPair(who.Cert, who.Key)
		if err != nil {
			return nil, err
		}
		// Not as Certificates: those are kept back where the server does not name their CA.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return tls.DialWithDialer(d, "tcp", addr, config)
}
