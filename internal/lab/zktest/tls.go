package zktest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

// Roles are whose certificates a server with TLS has, with the subjects CN=tk-admin and so on.
var Roles = []string{"admin", "master", "worker", "client", "viewer"}

// tlsServers are the servers of this process that have TLS, by address: their own, and that of
// each proxy before one.
var tlsServers sync.Map

// tlsServer is the first server of a connect string; nil if it has no TLS.
func tlsServer(connectString string) *Server {
	addr, _, _ := strings.Cut(connectString, "/")
	addr, _, _ = strings.Cut(addr, ",")
	value, _ := tlsServers.Load(addr)
	s, _ := value.(*Server)
	return s
}

// adminOf is who a ManualClient is, and whoever asks or expires; zero without TLS.
func adminOf(connectString string) identity.Files {
	if s := tlsServer(connectString); s != nil {
		return s.Identity("admin")
	}
	return identity.Files{}
}

// certify makes the certificates of the servers below a folder, where scripts/zookeeper looks
// for them. The servers talk to each other with certificates of a CA of their own.
func certify(dir string, hosts []string) (*CA, error) {
	dir = filepath.Join(dir, "tls")
	ca, err := shared.ca.in(dir)
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
	config, err := dialing(who)
	if err != nil {
		return nil, err
	}
	return tls.DialWithDialer(d, "tcp", addr, config)
}

// dialing is for a connection as somebody.
func dialing(who identity.Files) (*tls.Config, error) {
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

// accepting is for who takes the place of a server.
func (ca *CA) accepting() (*tls.Config, error) {
	server := ca.files("server").Cert
	pair, err := tls.LoadX509KeyPair(server, server)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}, nil
}

// Dialer is Dial for go-zookeeper.
func Dialer(who identity.Files) zk.Dialer {
	return func(_, addr string, limit time.Duration) (net.Conn, error) { return Dial(addr, who, limit) }
}
