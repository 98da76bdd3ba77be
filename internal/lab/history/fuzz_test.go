package history

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzDecode decodes, replays and judges what no server wrote, and reads it as a file.
func FuzzDecode(f *testing.F) {
	record := func(kind int32, body string) []byte {
		b, _ := binary.Append(nil, binary.BigEndian, entry{1 << 40, 7, 1, 1_700_000_000_000, kind})
		return append(b, body...)
	}
	const (
		create = "\x00\x00\x00\x08/tasks/t" + "\x00\x00\x00\x07pending" + "\x00\x00\x00\x01\x00\x00\x00\x1f\x00\x00\x00\x05world\x00\x00\x00\x06anyone" + "\x01"
		set    = "\x00\x00\x00\x08/tasks/t" + "\x00\x00\x00\x06done 1" + "\x00\x00\x00\x01"
		noNode = "\xff\xff\xff\x9b"
	)
	f.Add(record(typeCreate, create))
	f.Add(record(typeSetData, set))
	f.Add(record(typeDelete, "\x00\x00\x00\x08/tasks/t"))
	f.Add(record(typeMulti, "\x00\x00\x00\x02"+"\x00\x00\x00\x01\x00\x00\x00\x33"+create+"\x00\x00\x00\x05\x00\x00\x00\x1a"+set))
	f.Add(record(typeMulti, "\x00\x00\x00\x01"+"\xff\xff\xff\xff\x00\x00\x00\x04"+noNode))
	f.Add(record(typeError, noNode))
	f.Add(record(typeCreateSession, "\x00\x00\x10\x00"))
	f.Add(record(typeCloseSession, ""))
	f.Add([]byte("ZKLG\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x62\x00\x62\x00\x00\x00\x01aB"))

	f.Fuzz(func(t *testing.T, data []byte) {
		txn, err := decode(data)
		if err != nil && len(txn.Events) > 0 {
			t.Errorf("an error and %d events", len(txn.Events))
		}
		txn.Zxid = 1
		if err == nil {
			_ = newTree().apply(&txn)
			Check([]Txn{txn}, Options{Finished: true})
		}
		for record, err := range records(bytes.NewReader(data)) {
			if err == nil {
				decode(record)
			}
		}
	})
}
