package oci

import "testing"

func TestLocksReadAsTheyAreWritten(t *testing.T) {
	for i := range 16 {
		want := Locks{i&1 > 0, i&2 > 0, i&4 > 0, i&8 > 0}
		var got Locks
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Errorf("%q: %+v %v", want, got, err)
		}
		if want.Beyond(want) != (Locks{}) || want.Beyond(Locks{}) != want {
			t.Errorf("%q: Beyond(itself) is not empty, or Beyond(nothing) is not all of it", want)
		}
	}
	var l Locks
	if err := l.UnmarshalText([]byte("delete,all")); err == nil {
		t.Error(`"all" was accepted as a lock`)
	}
}
