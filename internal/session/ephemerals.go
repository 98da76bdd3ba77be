package session

import "fmt"

// maxPaths bounds the paths of a session's ephemeral znodes, in bytes. At a session's end
// the server writes all of them into one record of its log. The server cannot read back a
// record larger than twice its jute.maxbuffer, 2 MB by default, and then never starts again
// (ZOOKEEPER-4306). Half of that remains for tasks that are being cleaned up.
const maxPaths = 1 << 20

// MostEphemeral is how many ephemeral znodes a session may hold below a chroot, for each of
// the given paths. Only the lengths of the paths count.
func MostEphemeral(chroot string, paths ...string) int {
	size := 0
	for _, p := range paths {
		size += 4 + len(chroot) + len(p) // in the record: a length, and the path
	}
	return (maxPaths - 4) / size // 4 bytes are the number of paths
}

// CheckEphemeral fails when n, the value of a flag, is more than MostEphemeral.
func CheckEphemeral(flag string, n int, a Address, paths ...string) error {
	most := MostEphemeral(a.Chroot, paths...)
	if n <= most {
		return nil
	}
	return fmt.Errorf("--%s %d: with a chroot of %d bytes (--zk) at most %d: the paths of a session's ephemeral znodes may have %d bytes together; ZooKeeper servers that end a session with more may never start again (ZOOKEEPER-4306)",
		flag, n, len(a.Chroot), most, maxPaths)
}
