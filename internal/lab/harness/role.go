package harness

import (
	"regexp"
	"slices"
	"strings"

	"taskkeeper/internal/identity"
)

// program is how one of the programs is named, in a word or in a script.
var program = regexp.MustCompile(`(?:^|/)(?:taskkeeper-)?(master|worker|client|election|example)$`)

// roles are the roles of package access that programs, and the client's verbs, need.
var roles = map[string]string{
	"master": "master", "worker": "worker",
	"election": "admin", "example": "admin", // their znodes have no row in a policy
	"run": "client", "submit": "client", "wait": "client", "cancel": "client", "retry": "client",
	"status":  "viewer",
	"explain": "admin", // a viewer may not read the payload
	"doctor":  "admin", "drain": "admin", "undrain": "admin", "access": "admin",
}

// roleOf is the role that a command needs: it runs one of the programs, perhaps by a shell or
// another command. "" if it runs none.
func roleOf(command []string) string {
	words := strings.Fields(strings.Join(command, " "))
	for i, word := range words {
		m := program.FindStringSubmatch(strings.Trim(word, `'"`))
		if m == nil {
			continue
		}
		if m[1] != "client" {
			return roles[m[1]]
		}
		if slices.Contains(words[i:], "--wait-for-workers") { // which a client may not see
			return "admin"
		}
		for _, verb := range words[i+1:] {
			if role, ok := roles[verb]; ok {
				return role
			}
		}
		return "client"
	}
	return ""
}

// Environment is what gives a command the certificate of its role.
func Environment(of func(role string) identity.Files, command ...string) []string {
	role := roleOf(command)
	if of == nil || role == "" {
		return nil
	}
	files := of(role)
	if files.IsZero() {
		return nil
	}
	return []string{identity.CAVariable + "=" + files.CA, identity.CertVariable + "=" + files.Cert, identity.KeyVariable + "=" + files.Key}
}
