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

// parser turns the YAML tree of one file into values. It stops at the first mistake.
type parser struct {
	path string // the path as the user gave it, for messages
	dir  string // the absolute directory that relative paths in the file start from
	home string // the home directory; "" if it is not known
}

// field is one key of a mapping and the function that reads its value.
type field struct {
	key  string
	read func(*yaml.Node) error
}

// root returns the content of the only YAML document in data, or nil if it is empty.
func (p parser) root(data []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, p.syntax(err)
	}
	if err := d.Decode(&more); err == nil {
		return nil, p.bad(&more, "the file has a second YAML document", "keep only one document in the file")
	} else if !errors.Is(err, io.EOF) {
		return nil, p.syntax(err)
	}
	if root := doc.Content[0]; root.ShortTag() != "!!null" {
		return root, nil
	}
	return nil, nil
}

// syntax returns an error of package yaml in the form of bad.
func (p parser) syntax(err error) error {
	line, text := 0, err.Error()
	if m := lineForm().FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	hint := "correct the line: write KEY: VALUE, and indent what belongs to a key below it"
	if strings.Contains(text, "found character that cannot start any token") { // a tab, a "@" or a "`"
		hint = "indent with blanks, not with tabs; put a value that begins with @ in quotes"
	}
	return p.bad(&yaml.Node{Line: line}, "not YAML: "+text, hint)
}

var lineForm = lazily(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// bad returns the error "config.yaml:7: invalid: cause" for the line of n.
func (p parser) bad(n *yaml.Node, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Name: p.at(n), Hint: hint, Err: errors.New(cause)}
}

// at returns "config.yaml:7" for the line of n.
func (p parser) at(n *yaml.Node) string {
	if n.Line == 0 {
		return p.path
	}
	return p.path + ":" + strconv.Itoa(n.Line)
}

// wrong returns err, which another package reported for the value n, with the line of n.
func (p parser) wrong(n *yaml.Node, err error) error {
	line := p.path + ":" + strconv.Itoa(n.Line)
	return &fault.Fault{Kind: fault.Invalid, Name: line, Hint: fault.HintOf(err), Err: strip(err)}
}

// strip returns err without its Kind, because the Fault around it contains the Kind.
func strip(err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Err == nil {
		return err
	}
	return plainError(strings.TrimSpace(f.Op+" "+f.Name) + ": " + f.Err.Error())
}

// plainError is an error with only a text.
type plainError string

// lazily returns a function that compiles expr at its first call. A run without a configuration needs
// no expression, and compiling takes time.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
