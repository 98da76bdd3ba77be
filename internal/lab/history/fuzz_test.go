package history

import (
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"testing"
)

// FuzzDecode has what no server wrote decoded, replayed and judged.
func FuzzDecode(f *testing.F) {
	be := binary.BigEndian
	record := func(kind int32, body ...byte) []byte {
		b := be.AppendUint64(nil, 0x10000000000) // session
		b = be.AppendUint32(b, 7)                // cxid
		b = be.AppendUint64(b, 1)                // zxid
		b = be.AppendUint64(b, 1_700_000_000_000)
		b = be.AppendUint32(b, uint32(kind))
		return append(b, body...)
	}
	str := func(s string) []byte { return append(be.AppendUint32(nil, uint32(len(s))), s...) }
	create := append(append(str("/tasks/t"), str("pending")...), 0, 0, 0, 0, 1, 0, 0, 0, 1)
	set := append(append(str("/tasks/t"), str("done 1")...), 0, 0, 0, 1)
	multi := []byte{0, 0, 0, 2}
	for kind, body := range map[byte][]byte{typeCreate: create, typeSetData: set} {
		multi = append(append(multi, 0, 0, 0, kind), str(string(body))...)
	}
	f.Add(record(typeCreate, create...), 3)
	f.Add(record(typeCreate, bytes.Replace(create, []byte{0, 0, 0, 0, 1}, append([]byte{0, 0, 0, 1, 0, 0, 0, 31}, append(str("world"), append(str("anyone"), 1)...)...), 1)...), 3)
	f.Add(record(typeSetData, set...), 4)
	f.Add(record(typeDelete, str("/tasks/t")...), 30)
	f.Add(record(typeMulti, multi...), 40)
	f.Add(record(typeMulti, 0, 0, 0, 1, 255, 255, 255, 255, 0, 0, 0, 4, 255, 255, 255, 155), 1)
	f.Add(record(typeError, 255, 255, 255, 155), 1)
	f.Add(record(typeCreateSession, 0, 0, 16, 0), 1)
	f.Add(record(typeCloseSession, 0, 0, 0, 1, 0, 0, 0, 2, '/', 'a'), 1)

	f.Fuzz(func(t *testing.T, record []byte, cut int) {
		txn, err := decode(record)
		if err != nil && len(txn.Events) > 0 {
			t.Errorf("an error and %d events", len(txn.Events))
		}
		if err == nil {
			txn.Zxid = 1
			if newTree().apply(&txn) == nil {
				Check([]Txn{txn}, Options{Finished: true})
			}
		}
		holds(record)

		// In a log, whatever is cut off leaves the records before it.
		log := append(be.AppendUint32(nil, logMagic), make([]byte, headerSize-4)...)
		for range 2 {
			log = be.AppendUint64(log, uint64(adler32.Checksum(record)))
			log = append(append(be.AppendUint32(log, uint32(len(record))), record...), recordEnd)
		}
		if len(record) == 0 {
			return
		}
		cut = min(max(1, cut), len(record)+12+1)
		var n int
		for got, err := range records(bytes.NewReader(log[:len(log)-cut]), int64(len(log)-cut)) {
			n++
			if err != nil || !bytes.Equal(got, record) {
				t.Errorf("record %d: % x, %v", n, got, err)
			}
		}
		if n != 1 {
			t.Errorf("%d records before the torn one", n)
		}
	})
}

// FuzzRecords reads files that no server wrote.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("ZKLG\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x62\x00\x62\x00\x00\x00\x01aB"))
	f.Add([]byte("ZKLG"))
	f.Add([]byte("ZKSN\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01/"))
	f.Fuzz(func(t *testing.T, file []byte) {
		for record, err := range records(bytes.NewReader(file), int64(len(file))) {
			if err == nil {
				decode(record)
			}
		}
		holds(file)
	})
}
