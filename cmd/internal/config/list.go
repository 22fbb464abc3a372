package config

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/plan"
)

// maxList is the largest list, in bytes: room for some hundred thousand images.
const maxList = 64 << 20

// List is a list of images to copy.
type List struct {
	Name    string // for errors
	Form    Form
	Entries []Entry
}

// Form is the format of a list.
type Form string

// The formats of a list.
const (
	Text Form = "text" // one line for each image: the source and the targets, separated by spaces
	YAML Form = "yaml" // a list of mappings, or a mapping that has such a list under images
)

// Entry is one image of a list. Its names are not checked.
type Entry struct {
	Source    string
	Targets   []string // if it is empty, the caller chooses the target
	Overwrite string   // "refuse", "update" or "always"; "" means not set, as always in a text list
	Own       plan.Own // what is set for this image alone; nothing in a text list
	Line      int      // the line in the file
}

// ReadList reads a list. name is its name in errors. The list is YAML, which includes JSON, if name
// ends in .yaml, .yml or .json, or if the list begins as no text list can. In a text list, empty lines
// are ignored, and a "#" at the beginning of a word starts a comment. The error is Invalid and names the
// line.
func ReadList(r io.Reader, name string) (List, error) {
	data, err := textfile.ReadAll("read list", r, name, maxList)
	if err != nil {
		return List{}, err
	}
	if textfile.IsYAML(name, data, func(first string) bool { return first == "-" || first == "images:" }) {
		return readYAMLList(data, name)
	}
	l := List{Name: name, Form: Text}
	if err := textfile.EachLine(data, name, func(line int, words []string) error {
		l.Entries = append(l.Entries, Entry{Source: words[0], Targets: words[1:], Line: line})
		return nil
	}); err != nil {
		return List{}, err
	}
	return l, nil
}

// Write writes l in its form, so that ReadList can read it. It writes why(i) as a comment before the
// entry i; "" means no comment.
func (l List) Write(w io.Writer, why func(i int) string) error {
	out := bufio.NewWriter(w)
	for i, e := range l.Entries {
		if text := comment(why(i)); text != "" {
			fmt.Fprintf(out, "# %s\n", text)
		}
		if l.Form == Text {
			fmt.Fprintln(out, strings.Join(append([]string{e.Source}, e.Targets...), " "))
			continue
		}
		fmt.Fprintf(out, "- source: %s\n", quoted(e.Source))
		for k, to := range e.Targets {
			if k == 0 {
				fmt.Fprintln(out, "  targets:")
			}
			fmt.Fprintf(out, "    - %s\n", quoted(to))
		}
		if e.Overwrite != "" {
			fmt.Fprintf(out, "  overwrite: %s\n", e.Overwrite)
		}
		writeOwn(out, e.Own)
	}
	return out.Flush()
}

// writeOwn writes the keys of what is set for one image. JSON is YAML, too.
func writeOwn(out io.Writer, own plan.Own) {
	write := func(key string, value any) {
		if raw, err := json.Marshal(value); err == nil { // all of it is text
			fmt.Fprintf(out, "  %s: %s\n", key, raw)
		}
	}
	if !own.Referrers.Equal(plan.Referrers{}) {
		write("referrers", own.Referrers)
	}
	if !own.Platforms.Default() {
		write("platforms", own.Platforms)
	}
	for _, gate := range own.Gates {
		write("gate", gate)
	}
}

// comment returns s without the characters that would end the line of a comment.
func comment(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff
	}), " ")
}

// quoted returns s as a YAML string in double quotes.
func quoted(s string) string {
	b, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle})
	if err != nil { // s is not UTF-8, so it is not a name; the next read of the list reports it
		return strconv.QuoteToASCII(s)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// readYAMLList reads a list in YAML.
func readYAMLList(data []byte, name string) (List, error) {
	p := parser{path: name}
	l := List{Name: name, Form: YAML}
	root, err := p.root(data)
	if err != nil || root == nil {
		return l, err
	}
	entries := func(n *yaml.Node) error { return list(p, n, &l.Entries, p.entry) }
	if root.Kind == yaml.SequenceNode {
		err = entries(root)
	} else {
		err = p.mapping(root, "the list", []field{{"images", entries}})
	}
	if err != nil {
		return List{}, err
	}
	return l, nil
}

// entry reads one image: a mapping, or a text that is only the source.
func (p parser) entry(n *yaml.Node, out *Entry) error {
	out.Line = n.Line
	if n.Kind == yaml.ScalarNode {
		return p.listed(n, &out.Source)
	}
	var target, force *yaml.Node
	var only string
	var forced bool
	err := p.mapping(n, "an image", []field{
		{"source", func(n *yaml.Node) error { return p.listed(n, &out.Source) }},
		{"target", func(n *yaml.Node) error { target = n; return p.listed(n, &only) }},
		{"targets", func(n *yaml.Node) error { return list(p, n, &out.Targets, p.listed) }},
		{"force", func(n *yaml.Node) error { force = n; return p.boolean(n, &forced) }},
		{"overwrite", func(n *yaml.Node) error { return p.overwrite(n, &out.Overwrite) }},
		{"referrers", func(n *yaml.Node) error { return p.referrers(n, &out.Own.Referrers) }},
		{"platforms", func(n *yaml.Node) error { return p.platforms(n, &out.Own.Platforms) }},
		{"gate", one(&out.Own.Gates, p.text)},
	})
	switch {
	case err != nil:
		return err
	case out.Source == "":
		return p.bad(n, "the image has no source", "write source: IMAGE")
	case target != nil && len(out.Targets) > 0:
		return p.bad(target, "target and targets cannot be combined", "keep one of them")
	case force != nil && out.Overwrite != "":
		return p.bad(force, "force and overwrite cannot be combined", "keep one of them; force: true means overwrite: update")
	case forced:
		out.Overwrite = "update"
	case force != nil:
		out.Overwrite = "refuse"
	}
	if target != nil {
		out.Targets = []string{only}
	}
	return nil
}
