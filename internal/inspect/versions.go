package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"taskkeeper/internal/member"
	"taskkeeper/internal/task"
)

// Version is the number of processes (masters and workers) of a version.
type Version struct {
	Version   string `json:"version"` // "": unknown
	Processes int    `json:"processes"`
}

// summarizeMembers counts the versions, and sets the protocol.
func (s *Status) summarizeMembers(t *Tree) {
	s.Versions = []Version{}
	if p := t.Protocol; p != nil {
		if n, err := strconv.Atoi(p.Protocol); err == nil {
			s.Protocol = &n
		}
		if p.Protocol != strconv.Itoa(member.Protocol) {
			s.warn(task.MembersDir, "all programs must speak protocol %s, as version %s wrote; this client speaks protocol %d",
				name(p.Protocol), name(cmp.Or(p.Version, "unknown")), member.Protocol)
		}
	}
	versions, members, others := make(map[string]int), t.bySession(), make(map[int64]bool)
	for _, m := range members {
		versions[m.Version]++
	}
	other := func(session int64) {
		if _, known := members[session]; !known && session != 0 && !others[session] {
			others[session] = true
			versions[""]++
		}
	}
	for _, c := range t.Candidates {
		other(c.Owner)
	}
	for i := range t.Workers {
		if _, _, pid := task.ParseWorkerName(t.Workers[i].Name); pid > 0 { // a program's
			other(t.Workers[i].Owner)
		}
	}
	for version, n := range versions {
		s.Versions = append(s.Versions, Version{version, n})
	}
	slices.SortFunc(s.Versions, func(a, b Version) int { return cmp.Compare(a.Version, b.Version) })
}

// versionsText is all versions in a line: "1.4.0: 3 processes, 1.5.0: 1".
func versionsText(all []Version) string {
	var parts []string
	for i, v := range all[:min(shown, len(all))] {
		part := fmt.Sprintf("%s: %d", version(v.Version), v.Processes)
		switch {
		case i == 0 && v.Processes == 1:
			part += " process"
		case i == 0:
			part += " processes"
		}
		parts = append(parts, part)
	}
	if n := len(all) - shown; n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, ", ")
}

// version is a program's version fit for a line.
func version(v string) string {
	if v == "" {
		return "-"
	}
	return name(v)
}
