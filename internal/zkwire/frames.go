package zkwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"
)

// Sizes of the parts of frames, in bytes. See the package's documentation.
const (
	lengthSize        = 4
	requestHeaderSize = 4 + 4     // xid, type
	replyHeaderSize   = 4 + 8 + 4 // xid, zxid, err
	connectHeadSize   = 4 + 4 + 8 // protocolVersion, timeOut, sessionId
	multiHeaderSize   = 4 + 1 + 4 // type, done, err
	statSize          = 6*8 + 5*4 // data.Stat
	mostConnectSize   = 1024      // a ConnectResponse has 36 bytes, or 37
	pathSize          = 4         // the length before a path
	dataSize          = 4         // the length before data; -1: no data
	errorSize         = 4         // ErrorResponse
)

// Types of requests: org.apache.zookeeper.ZooDefs.OpCode.
const (
	opError     int32 = -1 // in a MultiHeader: an ErrorResponse follows, or nothing
	opGetData   int32 = 4
	opPing      int32 = 11
	opUnwatch   int32 = 18 // removeWatches
	opMultiRead int32 = 22
	opAddWatch  int32 = 106
)

// xids of requests that this package makes. ZooKeeper's own client uses -1, -2, -4 and -8
// (org.apache.zookeeper.ClientCnxn); go-zookeeper counts from 1 on.
const (
	pingXid  int32 = -2
	watchXid int32 = -106 // of each addWatch and removeWatches
	readXid  int32 = -107 // of each multi-read whose first read is from GetAll
)

// ServerError is the error code of a reply: org.apache.zookeeper.KeeperException.Code.
type ServerError int32

// Unimplemented is the answer to a request of a type that the server does not know. After
// it the server closes the connection.
const Unimplemented ServerError = -6

func (e ServerError) Error() string { return fmt.Sprintf("server error %d", int32(e)) }

func int32At(b []byte, at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func int64At(b []byte, at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }

func appendInt32(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

// appendFrame appends a frame: its length, and then what body appends.
func appendFrame(buf []byte, body func([]byte) []byte) []byte {
	start := len(buf)
	buf = body(append(buf, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(buf[start:], uint32(len(buf)-start-lengthSize))
	return buf
}

// read is a GetDataRequest that sets no watch: as go-zookeeper wrote it, or from GetAll.
type read struct {
	xid  int32
	body []byte // path, watch

	// From GetAll: called with the answer; nil in a read of go-zookeeper. It must not block,
	// and only its first call counts. After an error body is empty; if not, it is the
	// GetDataResponse, in the frame's memory.
	done func(body []byte, err error)
}

// ownRead returns a read for GetAll.
func ownRead(path string, done func(body []byte, err error)) read {
	body := append(append(appendInt32(nil, int32(len(path))), path...), 0)
	return read{xid: readXid, body: body, done: done}
}

// parseData parses a GetDataResponse. The data share the body's memory.
func parseData(body []byte) (data []byte, stat *zk.Stat, err error) {
	if len(body) < dataSize+statSize {
		return nil, nil, errMultiRead
	}
	stat = new(zk.Stat)
	_, err = binary.Decode(body[len(body)-statSize:], binary.BigEndian, stat)
	return body[dataSize : len(body)-statSize], stat, err
}

// parseRead parses a frame of go-zookeeper. ok is false if the frame is no read without a
// watch. The body shares the frame's memory.
func parseRead(frame []byte) (r read, ok bool) {
	const head = lengthSize + requestHeaderSize
	if len(frame) <= head || int32At(frame, lengthSize+4) != opGetData || frame[len(frame)-1] != 0 {
		return read{}, false
	}
	return read{xid: int32At(frame, lengthSize), body: frame[head:]}, true
}

// appendReads appends the request for some reads: a single read of go-zookeeper as it was
// written; if not, a multi-read with the xid of the first.
func appendReads(buf []byte, reads []read) []byte {
	return appendFrame(buf, func(b []byte) []byte {
		b = appendInt32(b, reads[0].xid)
		if len(reads) == 1 && reads[0].done == nil {
			return append(appendInt32(b, opGetData), reads[0].body...)
		}
		b = appendInt32(b, opMultiRead)
		for _, r := range reads {
			b = append(appendMultiHeader(b, opGetData, 0), r.body...)
		}
		return appendMultiHeader(b, opError, 1)
	})
}

func appendMultiHeader(buf []byte, op int32, done byte) []byte {
	return appendInt32(append(appendInt32(buf, op), done), -1)
}

var errMultiRead = errors.New("a malformed answer to a multi-read")

// splitReads splits the answer to a multi-read, given from its xid on. It returns one frame
// for each read of go-zookeeper, and calls done of each read of GetAll. An error of the whole
// request is the error of each read. When splitReads fails, some done were not called.
func splitReads(answer []byte, reads []read) ([]byte, error) {
	if len(answer) < replyHeaderSize {
		return nil, errMultiRead
	}
	zxid, whole, rest := answer[4:12], int32At(answer, 12), answer[replyHeaderSize:]
	out := make([]byte, 0, len(answer)+len(reads)*(lengthSize+replyHeaderSize))
	add := func(r read, code int32, body []byte) {
		switch {
		case r.done == nil:
			out = appendFrame(out, func(b []byte) []byte {
				return append(appendInt32(append(appendInt32(b, r.xid), zxid...), code), body...)
			})
		case code != 0:
			r.done(nil, ServerError(code))
		default:
			r.done(body, nil)
		}
	}
	for _, r := range reads {
		if whole != 0 {
			add(r, whole, nil)
			continue
		}
		if len(rest) < multiHeaderSize+max(errorSize, dataSize) {
			return nil, errMultiRead
		}
		op := int32At(rest, 0)
		rest = rest[multiHeaderSize:]
		switch op {
		case opError:
			add(r, int32At(rest, 0), nil)
			rest = rest[errorSize:]
		case opGetData:
			size := dataSize + max(0, int64(int32At(rest, 0))) + statSize
			if int64(len(rest)) < size {
				return nil, errMultiRead
			}
			add(r, 0, rest[:size])
			rest = rest[size:]
		default:
			return nil, errMultiRead
		}
	}
	return out, nil
}

// WatchMode is a mode of an AddWatchRequest: org.apache.zookeeper.AddWatchMode.
type WatchMode int32

const (
	// Persistent watches a znode's data, and its list of children.
	Persistent WatchMode = 0
	// PersistentRecursive watches a znode and all below it: whether each exists, and its
	// data.
	PersistentRecursive WatchMode = 1
)

func appendAddWatch(buf []byte, path string, mode WatchMode) []byte {
	return appendFrame(buf, func(b []byte) []byte {
		b = appendInt32(appendInt32(b, watchXid), opAddWatch)
		return appendInt32(append(appendInt32(b, int32(len(path))), path...), int32(mode))
	})
}

// anyWatch means watches of any kind: org.apache.zookeeper.Watcher.WatcherType.
const anyWatch = 3

func appendUnwatch(buf []byte, path string) []byte {
	return appendFrame(buf, func(b []byte) []byte {
		b = appendInt32(appendInt32(b, watchXid), opUnwatch)
		return appendInt32(append(appendInt32(b, int32(len(path))), path...), anyWatch)
	})
}

func appendPing(buf []byte) []byte {
	return appendFrame(buf, func(b []byte) []byte {
		return appendInt32(appendInt32(b, pingXid), opPing)
	})
}

// replyHead is the beginning of each frame of a server, except the first.
type replyHead struct {
	size int // of the whole frame, in bytes, with its length
	xid  int32
	zxid int64 // the last write that the server has carried out; -1 in a watch event
	err  ServerError
}

const replyHeadSize = lengthSize + replyHeaderSize

// parseReply parses the first replyHeadSize bytes of a frame.
func parseReply(head []byte) (replyHead, error) {
	size := int32At(head, 0)
	if size < replyHeaderSize {
		return replyHead{}, fmt.Errorf("a frame of %d bytes is no reply", size)
	}
	return replyHead{
		size: lengthSize + int(size),
		xid:  int32At(head, lengthSize),
		zxid: int64At(head, lengthSize+4),
		err:  ServerError(int32At(head, lengthSize+12)),
	}, nil
}

// seenSince raises the zxid in a handshake to the given one, if that is higher. A server
// that has not reached this transaction refuses the session.
func seenSince(handshake []byte, zxid int64) []byte {
	const at = lengthSize + 4 // after protocolVersion
	if len(handshake) < at+8 || int64At(handshake, at) >= zxid {
		return handshake
	}
	raised := slices.Clone(handshake)
	binary.BigEndian.PutUint64(raised[at:], uint64(zxid))
	return raised
}

// connectHead is the beginning of the answer to the handshake.
type connectHead struct {
	size    int           // of the whole frame, in bytes, with its length
	timeout time.Duration // the granted session timeout
	session int64         // 0: it has expired
}

// connectHeadEnd is where a connectHead ends in the frame.
const connectHeadEnd = lengthSize + connectHeadSize

// parseConnect parses the first connectHeadEnd bytes of a frame.
func parseConnect(head []byte) (connectHead, error) {
	size := int32At(head, 0)
	if size < connectHeadSize || size > mostConnectSize {
		return connectHead{}, fmt.Errorf("an answer of %d bytes: not a ZooKeeper server", uint32(size))
	}
	return connectHead{
		size:    lengthSize + int(size),
		timeout: time.Duration(int32At(head, lengthSize+4)) * time.Millisecond,
		session: int64At(head, lengthSize+8),
	}, nil
}
