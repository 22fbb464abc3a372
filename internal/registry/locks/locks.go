package locks

import "fmt"

// Attributes say what may be done with a repository, a tag or a manifest.
type Attributes struct {
	Delete, Write, Read, List bool
}

// Unlocked returns the attributes of what has no locks.
func Unlocked() Attributes { return Attributes{true, true, true, true} }

// Repository is the name of the repository itself in its Locks. Tags and digests are the other names.
const Repository = ""

// Locks are the locks of one repository. The zero Locks forbid nothing.
type Locks struct{ named map[string]Attributes }

// Of returns the attributes of name, which is Repository, a tag or a digest.
func (l Locks) Of(name string) Attributes {
	if a, ok := l.named[name]; ok {
		return a
	}
	return Unlocked()
}

// None reports whether nothing is forbidden.
func (l Locks) None() bool { return len(l.named) == 0 }

// Kept returns the names that may not be deleted.
func (l Locks) Kept() []string {
	var all []string
	for name, a := range l.named {
		if !a.Delete || !a.Write {
			all = append(all, name)
		}
	}
	return all
}

// Pull returns a *Locked if names may not be read.
func (l Locks) Pull(names ...string) error {
	return l.each("readEnabled", func(a Attributes) bool { return a.Read }, names)
}

// Push returns a *Locked if names may not be written. A tag that may be written may be moved to another manifest.
func (l Locks) Push(names ...string) error {
	return l.each("writeEnabled", func(a Attributes) bool { return a.Write }, names)
}

// Delete returns a *Locked if names may not be deleted. What may not be written may not be deleted either.
func (l Locks) Delete(names ...string) error {
	if err := l.Push(names...); err != nil {
		return err
	}
	return l.each("deleteEnabled", func(a Attributes) bool { return a.Delete }, names)
}

// each returns a *Locked for the first of Repository and names for which may returns false.
func (l Locks) each(attribute string, may func(Attributes) bool, names []string) error {
	if l.None() {
		return nil
	}
	if !may(l.Of(Repository)) {
		return &Locked{Attribute: attribute}
	}
	for _, name := range names {
		if !may(l.Of(name)) {
			return &Locked{Name: name, Attribute: attribute}
		}
	}
	return nil
}

// Locked is the error for what a lock forbids.
type Locked struct {
	Name      string // Repository, a tag or a digest
	Attribute string // "readEnabled", "writeEnabled" or "deleteEnabled"
}

func (l *Locked) Error() string {
	what := l.Name
	if what == Repository {
		what = "the repository"
	}
	return fmt.Sprintf("%s is locked (%s=false)", what, l.Attribute)
}
