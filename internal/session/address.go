package session

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

const defaultPort = "2181"

// Address is a parsed connect string: the servers, and the chroot that holds all znodes of
// the service.
type Address struct {
	Servers []string // host:port
	Chroot  string   // "" or "/a/b"
}

// ParseAddress parses host:port[,host:port…][/chroot]. The default port is 2181.
func ParseAddress(s string) (Address, error) {
	bad := func(format string, args ...any) (Address, error) {
		return Address{}, fmt.Errorf("connect string %q: %s; want host:port[,host:port…][/chroot]", s, fmt.Sprintf(format, args...))
	}
	if _, rest, found := strings.Cut(s, "://"); found {
		return bad("leave the scheme out: %s", rest)
	}
	hosts, chroot := s, ""
	if i := strings.IndexByte(s, '/'); i >= 0 {
		hosts, chroot = s[:i], strings.TrimSuffix(strings.TrimSpace(s[i:]), "/")
	}
	if strings.Contains(chroot, ",") {
		return bad("give the chroot once, after the last server: %s", once(s))
	}
	var a Address
	for host := range strings.SplitSeq(hosts, ",") {
		host = strings.TrimSpace(host)
		name, port, err := net.SplitHostPort(host)
		if err != nil { // without a port
			name, port = host, defaultPort
			if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
				name = host[1 : len(host)-1]
			} else if strings.Contains(host, ":") {
				return bad("%q is no host:port; put an IPv6 address in brackets", host)
			}
		}
		if name == "" {
			return bad("a host is missing")
		}
		if strings.ContainsAny(name, "[] \t\r\n") {
			return bad("%q is no host", name)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return bad("%q is no port", port)
		}
		server := net.JoinHostPort(name, port)
		if slices.Contains(a.Servers, server) {
			return bad("%s is given twice", server)
		}
		a.Servers = append(a.Servers, server)
	}
	if chroot != "" {
		for part := range strings.SplitSeq(chroot[1:], "/") {
			if !ValidName(part) {
				return bad("%q is no path of a znode", chroot)
			}
		}
	}
	a.Chroot = chroot
	return a, nil
}

// once corrects a connect string with a chroot after several servers, or not after the last.
func once(s string) string {
	var servers []string
	chroot := ""
	for entry := range strings.SplitSeq(s, ",") {
		server, path, _ := strings.Cut(strings.TrimSpace(entry), "/")
		if server != "" && !slices.Contains(servers, server) {
			servers = append(servers, server)
		}
		if chroot == "" {
			chroot = strings.TrimSuffix(path, "/")
		}
	}
	return strings.Join(servers, ",") + "/" + chroot
}

// ValidName reports whether a znode can have the name.
func ValidName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.Contains(name, "/") && !strings.ContainsFunc(name, forbidden)
}

// forbidden reports whether ZooKeeper allows a character in no path. Invalid UTF-8 reads as
// U+FFFD, which is forbidden.
func forbidden(r rune) bool {
	return r < ' ' || 0x7f <= r && r <= 0x9f || 0xd800 <= r && r <= 0xf8ff || 0xfff0 <= r && r <= 0xffff
}

// String is the connect string.
func (a Address) String() string { return strings.Join(a.Servers, ",") + a.Chroot }

// loopback reports whether all addresses are local: no other machine can use them.
func (a Address) loopback() bool {
	return !slices.ContainsFunc(a.Servers, func(server string) bool {
		host, _, _ := net.SplitHostPort(server)
		ip := net.ParseIP(host)
		return host != "localhost" && (ip == nil || !ip.IsLoopback())
	})
}
