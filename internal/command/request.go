package command

import (
	"encoding/binary"
	"strings"
	"syscall"
)

// request asks a supervisor to execute a command. Its message also carries the descriptors
// of the command's standard input, output and error; only the last two if input is empty.
type request struct {
	path, task, worker string
	words              []string
}

// maxRequest is more than any kernel accepts as arguments, in bytes.
const maxRequest = 8 << 20

// encode returns the length (4 bytes), and then the parts with a zero byte between them. No
// argument of a program can contain a zero byte.
func (r request) encode() ([]byte, error) {
	parts := append([]string{r.path, r.task, r.worker}, r.words...)
	size := len(parts) - 1
	for _, p := range parts {
		if strings.IndexByte(p, 0) >= 0 {
			return nil, syscall.EINVAL
		}
		size += len(p)
	}
	if size > maxRequest {
		return nil, syscall.E2BIG
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+size), uint32(size))
	for i, p := range parts {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, p...)
	}
	return b, nil
}

// receive waits for the next request. When it fails, the supervisor must end.
func receive(fd int) (r request, files []int, err error) {
	buf := make([]byte, 4<<10)
	oob := make([]byte, syscall.CmsgSpace(3*4))
	n, oobn, err := 0, 0, error(syscall.EINTR)
	for err == syscall.EINTR {
		n, oobn, _, _, err = syscall.Recvmsg(fd, buf, oob, 0)
	}
	if err != nil {
		return r, nil, err
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 || n < 4 {
		return r, nil, syscall.EBADMSG
	}
	if files, err = syscall.ParseUnixRights(&messages[0]); err != nil {
		return r, nil, err
	}
	for _, f := range files {
		syscall.CloseOnExec(f) // no process is started before this
	}
	size := int(binary.BigEndian.Uint32(buf))
	body := append(make([]byte, 0, max(size, n-4)), buf[4:n]...)
	for len(body) < size && size <= maxRequest {
		n, err := syscall.Read(fd, body[len(body):size])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return r, nil, syscall.EBADMSG
		}
		body = body[:len(body)+n]
	}
	parts := strings.Split(string(body), "\x00")
	if len(body) != size || len(parts) < 4 || len(files) < 2 || len(files) > 3 {
		return r, nil, syscall.EBADMSG
	}
	return request{path: parts[0], task: parts[1], worker: parts[2], words: parts[3:]}, files, nil
}
