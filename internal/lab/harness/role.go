package harness

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"taskkeeper/internal/identity"
)

// program is how one of the programs is named, in a word or in a script.
var program = regexp.MustCompile(`(?:^|/)(?:taskkeeper-)?(master|worker|client|election|example)$`)

// verbs are the client's, with the role that each needs.
var verbs = map[string]string{
	"run": "client", "submit": "client", "wait": "client", "cancel": "client", "retry": "client",
	"status":  "viewer",
	"explain": "admin", // a viewer may not read the payload
	"doctor":  "admin", "drain": "admin", "undrain": "admin", "access": "admin",
}

// Role is the role of package access that a command needs: it runs one of the programs,
// perhaps by a shell or another command. "" if it runs none.
func Role(command []string) string {
	words := strings.Fields(strings.Join(command, " "))
	for i, word := range words {
		m := program.FindStringSubmatch(strings.Trim(word, `'"`))
		if m == nil {
			continue
		}
		switch m[1] {
		case "master", "worker":
			return m[1]
		case "election", "example": // their znodes have no row in a policy
			return "admin"
		}
		return roleOf(words[i+1:])
	}
	return ""
}

// roleOf is the role of a client with some arguments.
func roleOf(args []string) string {
	if slices.Contains(args, "--wait-for-workers") { // which a client may not see
		return "admin"
	}
	for _, arg := range args {
		if role, ok := verbs[arg]; ok {
			return role
		}
	}
	return "client"
}

// Environment is what gives a command the certificate of its role.
func Environment(of func(role string) identity.Files, command ...string) []string {
	role := Role(command)
	if of == nil || role == "" {
		return nil
	}
	files := of(role)
	if files.IsZero() {
		return nil
	}
	return []string{identity.CAVariable + "=" + files.CA, identity.CertVariable + "=" + files.Cert, identity.KeyVariable + "=" + files.Key}
}

func (c Command) identity() []string {
	return Environment(c.Identity, slices.Concat([]string{filepath.Clean(c.Path)}, c.Args)...)
}
