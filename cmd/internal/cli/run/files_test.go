package run

import (
	"os"
	"testing"
)

func TestWhatIsLeftGoesToAPipeAsItIs(t *testing.T) {
	if err := Replace(os.DevNull, nil); err != nil {
		t.Error(err)
	}
	if err := Replace(os.DevNull, []byte("x")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatal("the null device was replaced by a file", err)
	}
}
