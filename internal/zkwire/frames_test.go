package zkwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"
)

// request is a frame as the library writes it.
func request(xid, opcode int32, body ...byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(requestHeaderSize+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(xid))
	return append(binary.BigEndian.AppendUint32(frame, uint32(opcode)), body...)
}

func path(name string, watch byte) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
	return append(append(body, name...), watch)
}

// answers parses frames into the answer of each xid.
func answers(t *testing.T, frames []byte) map[int32]string {
	t.Helper()
	got := make(map[int32]string)
	for len(frames) > 0 {
		size := int(binary.BigEndian.Uint32(frames))
		frame := frames[lengthSize : lengthSize+size]
		frames = frames[lengthSize+size:]
		got[int32(binary.BigEndian.Uint32(frame))] = fmt.Sprintf("zxid %d err %d %q", binary.BigEndian.Uint64(frame[4:]),
			int32(binary.BigEndian.Uint32(frame[12:])), bytes.TrimRight(frame[replyHeaderSize:], "\x00"))
	}
	return got
}

func TestAMultiReadIsAnsweredReadByRead(t *testing.T) {
	reads := []read{{xid: 1}, {xid: 2}, {xid: 3}}
	header := func(code int32) []byte {
		h := append([]byte{0, 0, 0, 1}, 0, 0, 0, 0, 0, 0, 0, 7)
		return binary.BigEndian.AppendUint32(h, uint32(code))
	}
	data := func(size int32, text string) []byte {
		b := appendMultiHeader(nil, opGetData, 0)
		b = append(binary.BigEndian.AppendUint32(b, uint32(size)), text...)
		return append(b, make([]byte, statSize)...)
	}
	none := binary.BigEndian.AppendUint32(appendMultiHeader(nil, opError, 0), 0xffffff9b) // -101, no node
	whole := slices.Concat(header(0), data(3, "abc"), none, data(-1, ""), appendMultiHeader(nil, opError, 1))
	out, err := splitReads(whole, reads)
	if err != nil {
		t.Fatal(err)
	}
	got := answers(t, out)
	want := map[int32]string{1: `zxid 7 err 0 "\x00\x00\x00\x03abc"`, 2: `zxid 7 err -101 ""`, 3: `zxid 7 err 0 "\xff\xff\xff\xff"`}
	for xid, w := range want {
		if got[xid] != w {
			t.Errorf("%d: %s, want %s", xid, got[xid], w)
		}
	}
	for n := range len(whole) - multiHeaderSize { // the end of the multi carries nothing
		if _, err := splitReads(whole[:n], reads); !errors.Is(err, errMultiRead) {
			t.Fatalf("the first %d bytes of %d: %v", n, len(whole), err)
		}
	}
	out, err = splitReads(header(-6), reads) // the server knows no multi-read
	if err != nil {
		t.Fatal(err)
	}
	for xid, got := range answers(t, out) {
		if got != `zxid 7 err -6 ""` {
			t.Errorf("%d: %s", xid, got)
		}
	}
}

func FuzzSplitReads(f *testing.F) {
	reads := []read{{xid: 1}, {xid: 2}}
	f.Add([]byte{})
	f.Add(slices.Concat(make([]byte, replyHeaderSize), appendMultiHeader(nil, opGetData, 0), make([]byte, 4+statSize),
		appendMultiHeader(nil, opError, 0), make([]byte, 4), appendMultiHeader(nil, opError, 1)))
	f.Fuzz(func(t *testing.T, answer []byte) {
		answered := 0
		own := ownRead("/a", func(body []byte, err error) {
			answered++
			if err == nil {
				_, _, _ = parseData(body)
			}
		})
		if _, err := splitReads(answer, []read{own, own}); err == nil && answered != 2 {
			t.Errorf("%q: %d of our reads were answered", answer, answered)
		}
		out, err := splitReads(answer, reads)
		if err == nil && len(answers(t, out)) != len(reads) {
			t.Errorf("%q: %q", answer, out)
		}
	})
}

func TestRequestsAreEncodedAsZooKeeperReadsThem(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"ping", appendPing(nil), "\x00\x00\x00\x08" + "\xff\xff\xff\xfe" + "\x00\x00\x00\x0b"},
		{
			"addWatch", appendAddWatch(nil, "/a", PersistentRecursive),
			"\x00\x00\x00\x12" + "\xff\xff\xff\x96" + "\x00\x00\x00\x6a" + "\x00\x00\x00\x02/a" + "\x00\x00\x00\x01",
		},
		{
			"multiRead", appendReads(nil, []read{{xid: 7, body: path("/a", 0)}, {xid: 8, body: path("/b", 0)}}),
			"\x00\x00\x00\x31" + "\x00\x00\x00\x07" + "\x00\x00\x00\x16" +
				"\x00\x00\x00\x04\x00\xff\xff\xff\xff" + "\x00\x00\x00\x02/a\x00" +
				"\x00\x00\x00\x04\x00\xff\xff\xff\xff" + "\x00\x00\x00\x02/b\x00" +
				"\xff\xff\xff\xff\x01\xff\xff\xff\xff",
		},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestHeadsOfRepliesAreParsed(t *testing.T) {
	reply, err := parseReply([]byte("\x00\x00\x00\x10" + "\x00\x00\x00\x07" + "\x00\x00\x00\x00\x00\x00\x00\x01" + "\xff\xff\xff\xfa"))
	if want := (replyHead{size: 20, xid: 7, zxid: 1, err: Unimplemented}); reply != want || err != nil {
		t.Errorf("reply %+v, %v", reply, err)
	}
	connect, err := parseConnect([]byte("\x00\x00\x00\x25" + "\x00\x00\x00\x00" + "\x00\x00\x0f\xa0" + "\x01\x00\x00\x00\x00\x00\x00\x02"))
	if want := (connectHead{size: 41, timeout: 4 * time.Second, session: 1<<56 + 2}); connect != want || err != nil {
		t.Errorf("answer to the handshake %+v, %v", connect, err)
	}
	for name, size := range map[string]string{"no size": "\x00\x00\x00\x00", "short": "\x00\x00\x00\x0f", "negative": "\xff\xff\xff\xff", "HTTP": "HTTP"} {
		head := append([]byte(size), make([]byte, connectHeadEnd)...)
		if _, err := parseConnect(head); err == nil {
			t.Errorf("%s: an answer to the handshake", name)
		}
		if _, err := parseReply(head); err == nil && name != "HTTP" {
			t.Errorf("%s: a reply", name)
		}
	}
}

// Whatever a server sends, go-zookeeper gets whole frames, or the connection ends.
func FuzzReplies(f *testing.F) {
	hello := append([]byte("\x00\x00\x00\x25"+"\x00\x00\x00\x00"+"\x00\x00\x0f\xa0"+"\x01\x00\x00\x00\x00\x00\x00\x02"), make([]byte, 21)...)
	reply := func(xid, code int32, body string) []byte {
		return appendFrame(nil, func(b []byte) []byte {
			return append(appendInt32(append(appendInt32(b, xid), make([]byte, 8)...), code), body...)
		})
	}
	f.Add(hello)
	f.Add(slices.Concat(hello, reply(1, 0, "abc")))
	f.Add(slices.Concat(hello, reply(watchXid, 0, ""), reply(watchXid, -6, ""), reply(-1, 0, ""), reply(2, -6, "")))
	f.Add(slices.Concat(hello, []byte("\x00\x00\x00\x04\x00\x00\x00\x02"), make([]byte, 20))) // shorter than a header
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		tr := New(t.Context(), Config{Timeout: time.Second, Logger: slog.New(slog.DiscardHandler), Refused: func(string) {}})
		c := newConn(tr, ours, "server", time.Now().Add(time.Minute))
		defer c.Close()
		answers := 0
		c.greeted = true
		for range 2 {
			c.watch(func(b []byte) []byte { return appendAddWatch(b, "/a", Persistent) }, func(error) { answers++ })
		}
		for xid := range int32(2) {
			c.reads.keep(request(2+xid, opGetData, path("/a", 0)...))
		}
		c.reads.next(nil)
		go func() { _, _ = theirs.Write(sent); theirs.Close() }()
		seen, err := io.ReadAll(c)
		if err == nil && len(seen) > 0 {
			for rest := seen; len(rest) > 0; {
				size := lengthSize + int(binary.BigEndian.Uint32(rest))
				if size > len(rest) {
					return // the end of the connection cut it off
				}
				rest = rest[size:]
			}
		}
		c.Close()
		if answers != 2 {
			t.Errorf("%d answers to 2 requests for a watch", answers)
		}
	})
}
