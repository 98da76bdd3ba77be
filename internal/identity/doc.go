// Package identity is TLS as the programs use it: the files that say who this process is and
// whom it trusts, the handshake with a server, and the errors of both, in words.
//
//	file        holds, in PEM                                          flag         variable
//	CA          certificates of the CAs that may sign the servers'     --tls-ca     $ZK_TLS_CA
//	Cert        this process's certificate, then its intermediate ones --tls-cert   $ZK_TLS_CERT
//	Key         the key of the first certificate, not encrypted        --tls-key    $ZK_TLS_KEY
//
// Without files there is no TLS. CA alone means encryption without an identity: only servers
// that demand no certificate accept it.
//
// The files are read at each handshake. So a renewed certificate is used from the next
// connection on, without a restart. A present connection goes on, even after its certificate
// has expired. [Files.Watch] logs that a certificate will expire, and that it has: then the
// next connection fails.
//
// A key is refused if other users may read it: see file.key. ZooKeeper knows this process by
// the subject of its certificate, in ZooKeeper's own form: see [Files.Subject].
//
// The handshake is TLS 1.2 or 1.3, as the server chooses. With 1.3 a server may refuse a
// certificate after the client's handshake is over; then the first Read returns the error.
package identity
