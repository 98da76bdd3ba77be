package worker

import (
	"slices"
	"testing"

	"taskkeeper/internal/task"
)

func TestMergeKeepsThePhaseOfWhatIsStillListed(t *testing.T) {
	parse := func(data string) task.List {
		l, err := task.ParseList([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	list, _ := merge(nil, parse("a\nb\nc\nd"))
	a, b, c, d := list[0], list[1], list[2], list[3]
	a.phase, b.phase = ready, running
	list, gone := merge(list, parse("-e\nb\n-c\nd\n-a"))
	e := list[0]
	if !slices.Equal(list, []*holding{e, b, c, d, a}) || len(gone) != 0 || a.phase != ready || b.phase != running {
		t.Errorf("%v, gone %v", ids(list), ids(gone))
	}
	for _, x := range []struct {
		h               *holding
		begins, returns bool
	}{{a, false, false}, {b, false, false}, {c, false, true}, {d, true, false}, {e, false, true}} {
		if x.h.mayBegin() != x.begins || x.h.returns() != x.returns {
			t.Errorf("%+v", x.h)
		}
	}
	if rest := without(list, []*holding{e, c}); !slices.Equal(rest, []*holding{b, d, a}) || a.asked {
		t.Errorf("without two: %v, %+v", ids(rest), a)
	}
	list, gone = merge([]*holding{b, d, a}, parse("d"))
	if !slices.Equal(list, []*holding{d}) || !slices.Equal(gone, []*holding{b, a}) {
		t.Errorf("%v, gone %v", ids(list), ids(gone))
	}
}
