package oci

import (
	"fmt"
	"strings"
)

// Locks says what a registry forbids to do with a tag: delete it, overwrite it, list it or read it.
// Azure Container Registry has such locks. The zero Locks forbids nothing.
type Locks struct {
	Delete, Write, List, Read bool
}

// fields pairs the word for each lock with the field of l that holds it.
func (l *Locks) fields() []struct {
	word string
	on   *bool
} {
	return []struct {
		word string
		on   *bool
	}{{"delete", &l.Delete}, {"write", &l.Write}, {"list", &l.List}, {"read", &l.Read}}
}

// String returns the locks as words separated by commas: "delete,write". It returns "" if nothing is
// locked.
func (l Locks) String() string {
	var words []string
	for _, f := range l.fields() {
		if *f.on {
			words = append(words, f.word)
		}
	}
	return strings.Join(words, ",")
}

// MarshalText returns [Locks.String].
func (l Locks) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the form that [Locks.String] returns. It sets all locks of l.
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
		return fmt.Errorf("%.20q is not a lock; use delete, write, list or read", word)
	}
	return nil
}

// Beyond returns the locks that l has and there does not have.
func (l Locks) Beyond(there Locks) Locks {
	return Locks{
		Delete: l.Delete && !there.Delete,
		Write:  l.Write && !there.Write,
		List:   l.List && !there.List,
		Read:   l.Read && !there.Read,
	}
}

// Attributes are what Azure Container Registry allows to be done with a tag, a manifest or a repository
// (changeableAttributes, api-version 2021-07-01). nil means that nothing is said.
type Attributes struct {
	Delete *bool `json:"deleteEnabled,omitempty"`
	Write  *bool `json:"writeEnabled,omitempty"`
	List   *bool `json:"listEnabled,omitempty"`
	Read   *bool `json:"readEnabled,omitempty"`
}

// Locks returns what a forbids. What it does not say is allowed.
func (a Attributes) Locks() Locks {
	off := func(b *bool) bool { return b != nil && !*b }
	return Locks{Delete: off(a.Delete), Write: off(a.Write), List: off(a.List), Read: off(a.Read)}
}

// Within reports whether now says everything that a says.
func (a Attributes) Within(now Attributes) bool {
	same := func(want, is *bool) bool { return want == nil || is != nil && *want == *is }
	return same(a.Delete, now.Delete) && same(a.Write, now.Write) && same(a.List, now.List) && same(a.Read, now.Read)
}
