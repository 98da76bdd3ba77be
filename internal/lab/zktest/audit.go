package zktest

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// AuditEntry is a write, or an attempt at one, in ZooKeeper's own audit log.
type AuditEntry struct {
	Session   int64
	User      string // CN=tk-worker: the subject of the certificate
	Operation string // create, delete, setData, setAcl, multiOperation and others
	Znode     string
	ACL       string
	Result    string // success, failure or invoked
}

// Audit lists what clients wrote, and attempted to write, through this server, over all its
// restarts. Only servers with TLS keep such a log.
func (s *Server) Audit() (entries []AuditEntry, err error) {
	log, err := os.ReadFile(s.logPath())
	for line := range strings.Lines(string(log)) {
		if _, text, ok := strings.Cut(line, " Slf4jAuditLogger - session="); ok {
			entries = append(entries, parseAudit("session="+strings.TrimSuffix(text, "\n")))
		}
	}
	return entries, err
}

// parseAudit reads an entry: key=value, separated by tabs.
func parseAudit(text string) AuditEntry {
	values := make(map[string]string)
	for field := range strings.SplitSeq(text, "\t") {
		key, value, _ := strings.Cut(field, "=")
		values[key] = value
	}
	session, _ := strconv.ParseUint(values["session"], 0, 64)
	ids := slices.DeleteFunc(strings.Split(values["user"], ","), func(id string) bool { return net.ParseIP(id) != nil })
	return AuditEntry{
		Session: int64(session), User: strings.Join(ids, ","), // without the client's address
		Operation: values["operation"], Znode: values["znode"], ACL: values["acl"], Result: values["result"],
	}
}
