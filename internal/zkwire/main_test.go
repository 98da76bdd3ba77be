package zkwire

import (
	"testing"

	"taskkeeper/internal/zktest"
)

func TestMain(m *testing.M) { zktest.Main(m) }
