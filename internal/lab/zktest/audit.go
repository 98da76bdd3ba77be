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

// Audit is what clients wrote, and attempted to write, through this server, over all its
// restarts. Only servers with TLS keep such a log.
func (s *Server) Audit() (entries []AuditEntry, err error) {
	log, err := os.ReadFile(s.logPath())
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(log)) {
		if _, text, ok := strings.Cut(line, " Slf4jAuditLogger - session="); ok {
			entries = append(entries, parseAudit("session="+strings.TrimSuffix(text, "\n")))
		}
	}
	return entries, nil
}

// parseAudit takes a line of the log: key=value, apart by tabs.
func parseAudit(text string) (e AuditEntry) {
	for field := range strings.SplitSeq(text, "\t") {
		switch key, value, _ := strings.Cut(field, "="); key {
		case "session":
			id, _ := strconv.ParseUint(strings.TrimPrefix(value, "0x"), 16, 64)
			e.Session = int64(id)
		case "user": // all that the client is: its address too
			ids := slices.DeleteFunc(strings.Split(value, ","), func(id string) bool { return net.ParseIP(id) != nil })
			e.User = strings.Join(ids, ",")
		case "operation":
			e.Operation = value
		case "znode":
			e.Znode = value
		case "acl":
			e.ACL = value
		case "result":
			e.Result = value
		}
	}
	return e
}
