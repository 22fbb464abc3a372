package flag

import (
	"testing"
)

func TestTheNearestNameIsOfferedAndNoFarOne(t *testing.T) {
	names := []string{"import", "copy", "tag", "ls", "inspect", "digest"}
	for typed, want := range map[string]string{"imprt": "import", "cp": "", "coppy": "copy", "tags": "tag", "insp": "inspect", "transmogrify": ""} {
		if got := nearest(typed, names); got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}
