package kept

import "testing"

func TestNotices(t *testing.T) {
	t.Run("what is missing", func(t *testing.T) {
		if !Kept() {
			t.Error("not kept")
		}
	})
}

func TestNoticesNothing(t *testing.T) {}

func TestFails(t *testing.T) { t.Error("it always does") }

func TestPanics(t *testing.T) {
	if !Kept() {
		panic("not kept")
	}
}

func TestWaits(t *testing.T) {
	t.Log("waits")
	select {}
}
