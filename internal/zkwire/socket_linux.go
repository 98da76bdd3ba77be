package zkwire

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socket reads and writes a TCP connection without Go's scheduler. That is safe because no
// call blocks. The scheduler wakes a thread (sysmon) at a system call, in case the call takes
// long: in a program that is idle between two requests, at almost every call.
type socket struct {
	net.Conn
	raw syscall.RawConn
}

// quiet returns a TCP connection as a socket, and any other connection as it is.
func quiet(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			return &socket{c, raw}
		}
	}
	return c
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	waited := s.raw.Read(func(fd uintptr) bool {
		n, err = try(syscall.SYS_READ, fd, p)
		return err != syscall.EAGAIN
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError("read", err)}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (n int, err error) {
	waited := s.raw.Write(func(fd uintptr) bool {
		for n < len(p) && err == nil {
			var m int
			m, err = try(syscall.SYS_WRITE, fd, p[n:])
			n += m
		}
		if err == syscall.EAGAIN {
			err = nil
			return false
		}
		return true
	})
	switch {
	case waited != nil:
		return n, waited
	case err != nil:
		return n, &net.OpError{Op: "write", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError("write", err)}
	}
	return n, nil
}

// try makes a system call that does not block.
func try(call, fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
