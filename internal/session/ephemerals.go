package session

import "fmt"

// maxPaths bounds the paths of a session's ephemeral znodes, in bytes. At a session's
// end the server writes all of them into one record of its log, and it cannot read one
// again that is larger than twice its jute.maxbuffer, 2 MB by default: it never starts
// again (ZOOKEEPER-4306). Half of that leaves room for what is being cleaned up.
const maxPaths = 1 << 20

// MostEphemeral is how many times a session may hold ephemeral znodes at these paths,
// of which the lengths count, within a chroot.
func MostEphemeral(chroot string, paths ...string) int {
	size := 0
	for _, p := range paths {
		size += 4 + len(chroot) + len(p) // as the record has it: a length, and the path
	}
	return (maxPaths - 4) / size // after their number
}

// CheckEphemeral fails when n times are more, which a flag asks for.
func CheckEphemeral(flag string, n int, a Address, paths ...string) error {
	most := MostEphemeral(a.Chroot, paths...)
	if n <= most {
		return nil
	}
	return fmt.Errorf("--%s %d: with a chroot of %d bytes (--zk) at most %d: the paths of a session's ephemeral znodes may come to %d bytes; ZooKeeper servers that end a session with more may never start again (ZOOKEEPER-4306)",
		flag, n, len(a.Chroot), most, maxPaths)
}
