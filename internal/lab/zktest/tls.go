package zktest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"taskkeeper/internal/identity"
)

// Roles have a certificate each for a server with TLS. The subjects are CN=tk-admin and so on.
var Roles = []string{"admin", "master", "worker", "client", "viewer"}

// servers are the servers of this process by address: their own, and that of each proxy before
// one.
var servers sync.Map

// serverAt is the first server of a connect string; nil if this process has not started it.
func serverAt(connectString string) *Server {
	s, _ := servers.Load(firstServer(connectString))
	server, _ := s.(*Server)
	return server
}

func firstServer(connectString string) string {
	all, _, _ := strings.Cut(connectString, "/")
	first, _, _ := strings.Cut(all, ",")
	return first
}

// certify makes the certificates of servers in a folder. The servers talk to each other with
// certificates of a CA of their own.
func certify(dir string, hosts []string) (ca *CA, err error) {
	file := filepath.Join(dir, "ca.pem")
	if Closed() {
		ca, err = shared.ca.at(file)
	} else {
		ca, err = newCA(file)
	}
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
	return ca, ca.issueRoles()
}

// issueRoles makes the certificates of the Roles.
func (ca *CA) issueRoles() error {
	for _, role := range Roles {
		if _, err := ca.Issue(Request{CN: "tk-" + role}); err != nil {
			return err
		}
	}
	return nil
}

// CA is the one that the server trusts; nil without TLS. It can issue tk-server anew, with
// other hosts or another end; the server reads that at its next start.
func (s *Server) CA() *CA { return s.ca }

// Identity is the certificate of one of the Roles; the zero value where the server has no TLS.
func (s *Server) Identity(role string) identity.Files {
	if s == nil {
		return identity.Files{}
	}
	return s.ca.files(role)
}

// Dial connects to a server with a certificate, by TLS unless that is the zero value. It accepts
// any certificate of the server: a test may well have given it a wrong one.
func Dial(addr string, who identity.Files, limit time.Duration) (net.Conn, error) {
	d := &net.Dialer{Timeout: limit}
	if who.IsZero() {
		return d.Dial("tcp", addr)
	}
	config, err := clientConfig(who)
	if err != nil {
		return nil, err
	}
	return tls.DialWithDialer(d, "tcp", addr, config)
}

func clientConfig(who identity.Files) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: true}
	if who.Cert != "" {
		pair, err := tls.LoadX509KeyPair(who.Cert, who.Key)
		if err != nil {
			return nil, err
		}
		// Not as Certificates: those are kept back where the server does not name their CA.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config, nil
}

// serverConfig is for a Proxy, which takes the place of a server.
func (ca *CA) serverConfig() (*tls.Config, error) {
	server := ca.files("server").Cert
	pair, err := tls.LoadX509KeyPair(server, server)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}, nil
}
