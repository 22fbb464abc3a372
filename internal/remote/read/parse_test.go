package read

import (
	"testing"
)

func FuzzRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes=0-0")
	f.Add("0-9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		if first, last, total, ok := parseContentRange(s); ok && (first < 0 || last < first || total != -1 && total <= last) {
			t.Errorf("%q is %d-%d/%d", s, first, last, total)
		}
	})
}
