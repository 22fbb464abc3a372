package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/fault"
)

// parser turns the YAML tree of one file into values; it stops at the first thing that is wrong.
type parser struct {
	path string // as given, for messages
	dir  string // absolute, what relative paths hang on
	home string
}

// field is one key of a mapping and what reads its value.
type field struct {
	key  string
	read func(*yaml.Node) error
}

// root is what the one document in data holds; nil where there is nothing.
func (p parser) root(data []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, p.syntax(err)
	}
	if err := d.Decode(&more); err == nil {
		return nil, p.bad(&more, "a second document", "keep one document in the file")
	} else if err != io.EOF {
		return nil, p.syntax(err)
	}
	if root := doc.Content[0]; root.ShortTag() != "!!null" {
		return root, nil
	}
	return nil, nil
}

// syntax gives yaml's own complaint our form.
func (p parser) syntax(err error) error {
	line, text := 0, err.Error()
	if m := lineForm().FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	return p.bad(&yaml.Node{Line: line}, "not YAML: "+text, "")
}

var lineForm = lazily(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// bad reads "config.yaml:7: invalid: cause".
func (p parser) bad(n *yaml.Node, cause, hint string) error {
	name := p.path
	if n.Line > 0 {
		name += ":" + strconv.Itoa(n.Line)
	}
	return &fault.Fault{Kind: fault.Invalid, Name: name, Hint: hint, Err: errors.New(cause)}
}

// wrong gives the complaint of a value's own reader a place.
func (p parser) wrong(n *yaml.Node, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Name: p.path + ":" + strconv.Itoa(n.Line), Hint: fault.HintOf(err), Err: strip(err)}
}

// strip takes the kind off an error: the Fault around it says it.
func strip(err error) error {
	text := err.Error()
	return plainError(strings.Replace(text, string(fault.Invalid)+": ", "", 1))
}

type plainError string

// lazily compiles expr when it is first used: a run without a configuration uses none.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
