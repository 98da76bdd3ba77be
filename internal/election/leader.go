package election

import (
	"errors"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// longestWho is how much of a candidate's text is of use, in bytes.
const longestWho = 200

// Leader tells which candidate leads, and who it says it is, cut to 200 bytes; both are "" when
// there is none. It is what ZooKeeper said a moment ago. It sets no watch.
func Leader(s *session.Session) (path, who string, err error) {
	for {
		names, _, err := s.Children(task.MasterDir)
		if errors.Is(err, zk.ErrNoNode) {
			return "", "", nil
		}
		if err != nil {
			return "", "", err
		}
		candidates := Ordered(names)
		if len(candidates) == 0 {
			return "", "", nil
		}
		path = task.MasterDir + "/" + candidates[0]
		data, _, err := s.Get(path)
		switch {
		case err == nil, errors.Is(err, zk.ErrNoAuth): // made by hand, not to be read
			return path, string(data[:min(len(data), longestWho)]), nil
		case errors.Is(err, zk.ErrNoNode):
			continue // it vanished after the listing
		}
		return "", "", err
	}
}
