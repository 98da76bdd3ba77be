// Package identity is TLS as the programs use it: the files that say who this process is and
// whom it trusts, the handshake with a server, and what goes wrong with either, in words.
//
//	file        holds, in PEM                                          flag         variable
//	CA          certificates of the CAs that may sign the servers'     --tls-ca     $ZK_TLS_CA
//	Cert        this process's certificate, then its intermediate ones --tls-cert   $ZK_TLS_CERT
//	Key         the key of the first certificate, not encrypted        --tls-key    $ZK_TLS_KEY
//
// Without files there is no TLS. CA alone means encryption without an identity, which only a
// server takes that does not demand a certificate.
//
// The files are read at each handshake. So a renewed certificate counts from the next
// connection on, without a restart; the connection that is there is not touched, and it lasts
// when its certificate ends. [Files.Watch] says ahead that it will, and that it has: what was
// lost by then is the next connection.
//
// A key is refused if other users may read it: see readKey. Who this process is to ZooKeeper
// is the subject of its certificate, in the form that ZooKeeper gives it: see [Files.Subject].
//
// The handshake is TLS 1.2 or 1.3, whatever the server has. With 1.3 a server refuses a
// certificate when the client's handshake is over already; then the first Read tells.
package identity
