package identity

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
)

// Subject is this process's id for ZooKeeper: the subject of its certificate, in the form of the
// scheme x509 in an ACL, such as "CN=tk-worker". It is empty without a certificate.
func (f Files) Subject() (string, error) {
	m, err := f.read()
	if err != nil || m.own == nil {
		return "", err
	}
	return subject(m.own.Leaf), nil
}

// keywords are the attributes that RFC 2253 has names for; UID and DC come from there too.
var keywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// attribute is an attribute of a name, with its encoded value.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type relativeNameSET []attribute // asn1 takes a type for a SET by its name

// subject is a certificate's subject as Java's X500Principal.getName gives it, which is what
// ZooKeeper compares: RFC 2253, so the last part comes first. An attribute without a keyword
// is written as its number, its value as the hexadecimal encoding; pkix.Name differs there.
func subject(c *x509.Certificate) string {
	var name []relativeNameSET
	if _, err := asn1.Unmarshal(c.RawSubject, &name); err != nil {
		return c.Subject.String() // it was parsed before, so this is not reached
	}
	slices.Reverse(name)
	parts := make([]string, len(name))
	for i, relative := range name {
		values := make([]string, len(relative))
		for j, a := range relative {
			number := a.Type.String()
			if keyword, ok := keywords[number]; ok {
				values[j] = keyword + "=" + escape(string(a.Value.Bytes))
			} else {
				values[j] = number + "=#" + hex.EncodeToString(a.Value.FullBytes)
			}
		}
		parts[i] = strings.Join(values, "+")
	}
	return strings.Join(parts, ",")
}

var special = strings.NewReplacer(`,`, `\,`, `=`, `\=`, `+`, `\+`, `<`, `\<`, `>`, `\>`, `#`, `\#`, `;`, `\;`, `"`, `\"`, `\`, `\\`, "\x00", `\00`)

// escape escapes the characters of a value that RFC 2253 gives a meaning.
func escape(value string) string {
	const blank = " \r"
	inner := strings.TrimLeft(value, blank)
	lead := value[:len(value)-len(inner)]
	inner = strings.TrimRight(inner, blank)
	trail := value[len(lead)+len(inner):]
	return eachEscaped(lead) + special.Replace(inner) + eachEscaped(trail)
}

func eachEscaped(blanks string) string {
	var b strings.Builder
	for i := range len(blanks) {
		b.WriteString(`\` + blanks[i:i+1])
	}
	return b.String()
}
