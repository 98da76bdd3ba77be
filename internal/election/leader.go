package election

import (
	"errors"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/session"
	"taskkeeper/internal/task"
)

// longestWho is how many bytes of a candidate's text are returned: the text is for people.
const longestWho = 200

// Leader returns the path of the leading candidate and the text in its znode, cut to 200
// bytes. Both are "" if there is no candidate. The answer was true a moment ago. Leader
// sets no watch.
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
		case err == nil, errors.Is(err, zk.ErrNoAuth): // a person made it, and it may not be read
			return path, string(data[:min(len(data), longestWho)]), nil
		case errors.Is(err, zk.ErrNoNode):
			continue // it vanished after the listing
		}
		return "", "", err
	}
}
