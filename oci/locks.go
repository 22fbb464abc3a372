package oci

import (
	"fmt"
	"strings"
)

// Locks say what a registry lets nobody do with a tag, as Azure's do. The zero Locks lock nothing.
type Locks struct {
	Delete, Write, List, Read bool
}

// fields are the words of l and where they are kept.
func (l *Locks) fields() []struct {
	word string
	on   *bool
} {
	return []struct {
		word string
		on   *bool
	}{{"delete", &l.Delete}, {"write", &l.Write}, {"list", &l.List}, {"read", &l.Read}}
}

// String is "delete,write"; "" locks nothing.
func (l Locks) String() string {
	var words []string
	for _, f := range l.fields() {
		if *f.on {
			words = append(words, f.word)
		}
	}
	return strings.Join(words, ",")
}

// MarshalText is String.
func (l Locks) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what String wrote.
func (l *Locks) UnmarshalText(b []byte) error {
	*l = Locks{}
	if len(b) == 0 {
		return nil
	}
next:
	for word := range strings.SplitSeq(string(b), ",") {
		for _, f := range l.fields() {
			if f.word == word {
				*f.on = true
				continue next
			}
		}
		return fmt.Errorf("%.20q is no lock: delete, write, list and read are", word)
	}
	return nil
}

// Beyond returns the locks of l that there lacks.
func (l Locks) Beyond(there Locks) Locks {
	return Locks{Delete: l.Delete && !there.Delete, Write: l.Write && !there.Write, List: l.List && !there.List, Read: l.Read && !there.Read}
}
