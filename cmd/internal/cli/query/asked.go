package query

import (
	"fmt"
	"slices"
	"strings"
)

// asked holds the keys that a query asks for, in the order in which it does.
type asked struct {
	keys  map[string]*key
	order []string
}

// key is what is known of a key that the query asks for.
type key struct {
	found  bool
	inList bool            // it was asked of a list, which has no keys
	beside map[string]bool // the keys of objects without it
}

// why says which key nothing has.
func (all *asked) why() string {
	for _, name := range all.order {
		a := all.keys[name]
		switch {
		case a.found:
		case len(a.beside) > 0:
			keys := make([]string, 0, len(a.beside))
			for beside := range a.beside {
				keys = append(keys, beside)
			}
			slices.Sort(keys)
			return fmt.Sprintf("nothing has the key %q; there are %s", name, strings.Join(keys, ", "))
		case a.inList:
			return fmt.Sprintf("%q is asked of a list: put [] before it to ask each item", name)
		}
	}
	return ""
}

// ask notes that the query asks v for a key.
func (all *asked) ask(name string, v any) {
	a := all.keys[name]
	if a == nil {
		if all.keys == nil {
			all.keys = map[string]*key{}
		}
		a = &key{beside: map[string]bool{}}
		all.keys[name], all.order = a, append(all.order, name)
	}
	switch v := v.(type) {
	case []any:
		a.inList = true
	case *Object:
		if _, ok := v.Get(name); ok {
			a.found = true
			return
		}
		for _, beside := range v.keys {
			a.beside[beside] = true
		}
	}
}
