package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/drayage/dray/cmd/internal/config/textfile"
	"go.yaml.in/yaml/v3"
)

// maxTagMap is the largest map of tags, in bytes.
const maxTagMap = 4 << 20

// Renamed is one line of a map of tags: From gets the new name To. Neither is checked to be a tag.
type Renamed struct{ From, To string }

// ReadTagMap reads a map of tags. name is its name in errors. The map is text, or a YAML mapping or
// JSON object. In text, a line holds a tag and its new name, separated by spaces or tabs, and comments
// are as in a list. In YAML and JSON, a tag may have a list of new names. A tag that appears twice is an
// error. The error is Invalid and names the line.
func ReadTagMap(r io.Reader, name string) ([]Renamed, error) {
	data, err := textfile.ReadAll("read tag map", r, name, maxTagMap)
	if err != nil {
		return nil, err
	}
	if textfile.IsYAML(name, data, func(first string) bool { return strings.Contains(first, ":") }) {
		return readYAMLTagMap(data, name)
	}
	var pairs []Renamed
	lines := map[string]int{}
	err = textfile.EachLine(data, name, func(line int, words []string) error {
		if len(words) != 2 {
			cause := fmt.Sprintf("a line must have a tag and its new name, but has %d words", len(words))
			return textfile.BadLine(name, line, cause,
				"for several new names, use a YAML mapping or a JSON object: TAG: [NEW, NEW]")
		}
		if first, twice := lines[words[0]]; twice {
			cause := fmt.Sprintf("tag %s appears twice (first in line %d)", strconv.Quote(words[0]), first)
			return textfile.BadLine(name, line, cause, "remove one of them")
		}
		lines[words[0]] = line
		pairs = append(pairs, Renamed{words[0], words[1]})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

// readYAMLTagMap reads a map of tags in YAML or JSON.
func readYAMLTagMap(data []byte, name string) ([]Renamed, error) {
	p := parser{path: name}
	// JSON may be indented with tabs, but YAML may not. A space has the same meaning in JSON.
	if begin := strings.TrimSpace(string(data)); strings.HasPrefix(begin, "{") {
		data = []byte(strings.ReplaceAll(string(data), "\t", " "))
	}
	root, err := p.root(data)
	if err != nil || root == nil {
		return nil, err
	}
	if err := p.is(root, "!!map", "the map"); err != nil {
		return nil, err
	}
	var pairs []Renamed
	lines := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		var from string
		if err := p.tag(key, &from); err != nil {
			return nil, err
		}
		if first, twice := lines[from]; twice {
			cause := fmt.Sprintf("tag %s appears twice (first in line %d)", strconv.Quote(from), first)
			return nil, p.bad(key, cause, "remove one of them, or write a list")
		}
		lines[from] = key.Line
		var to []string
		if value.Kind == yaml.SequenceNode {
			err = list(p, value, &to, p.tag)
		} else {
			to = append(to, "")
			err = p.tag(value, &to[0])
		}
		if err != nil {
			return nil, err
		}
		for _, tag := range to {
			pairs = append(pairs, Renamed{from, tag})
		}
	}
	return pairs, nil
}

// tag reads a tag as it is written, so that 1.10 is a tag and not a number.
func (p parser) tag(n *yaml.Node, out *string) error {
	if err := p.written(n); err != nil {
		return named("the tag", err)
	}
	if n.Kind != yaml.ScalarNode {
		return p.wants(n, "a tag")
	}
	if n.Value == "" {
		return named("the tag", p.empty(n))
	}
	*out = n.Value
	return nil
}
