package zktest

import (
	"errors"
	"strings"
	"testing"
)

func TestMultiOps(t *testing.T) {
	t.Parallel()
	check := string(opHeader(OpCheck)) + string(str("/a")) + "\x00\x00\x00\x03"
	for name, multi := range map[string]string{
		"without_its_header": "\x00\x00\x00\x01",
		"without_an_end":     "xid,mult" + check,
		"cut":                "xid,mult" + check[:12],
		"of_an_odd_length":   "xid,mult" + string(opHeader(OpCheck)) + "\xff\x00\x00\x00",
	} {
		if ops, err := MultiOps([]byte(multi)); !errors.Is(err, errShort) {
			t.Errorf("%s: %+v, %v", name, ops, err)
		}
	}
	if _, err := MultiOps([]byte("xid,mult" + string(opHeader(OpCreate)) + string(str("/a")))); err == nil || !strings.Contains(err.Error(), "operation 0 is create") {
		t.Errorf("with a create: %v", err)
	}
}
