package out

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/cmd/internal/visible"
)

// azYAML writes v as az does: keys in alphabetical order, and single quotes around a string that would else be
// something else.
func azYAML(w io.Writer, v any) error {
	var b bytes.Buffer
	node := yamlOf(v)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(node); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	if node.Kind == yaml.ScalarNode && !strings.ContainsRune(`'"|`, rune(b.Bytes()[0])) {
		b.WriteString("...\n") // as az ends a bare word
	}
	_, err := io.WriteString(w, escapedYAML(b.String()))
	return err
}

// escapedYAML escapes what is not seen, all of which is in double quotes, as YAML does it.
func escapedYAML(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || !visible.Hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	return b.String()
}

func yamlOf(v any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode}
	switch v := v.(type) {
	case []any:
		node.Kind = yaml.SequenceNode
		for _, one := range v {
			node.Content = append(node.Content, yamlOf(one))
		}
	case *query.Object:
		node.Kind = yaml.MappingNode
		for _, key := range v.Sorted() {
			value, _ := v.Get(key)
			node.Content = append(node.Content, yamlOf(key), yamlOf(value))
		}
	case string:
		node.SetString(v)
		if strings.ContainsFunc(v, func(r rune) bool { return visible.Hidden(r) && r != '\n' && r != '\t' }) {
			node.Style = yaml.DoubleQuotedStyle // only there, an escape is one
		}
		if node.Style == 0 && regexp.MustCompile(otherwise).MatchString(v) {
			node.Style = yaml.SingleQuotedStyle
		}
	case nil:
		node.Value = "null"
	default:
		node.Value = azJSON(v, "")
	}
	if node.Kind != yaml.ScalarNode && len(node.Content) == 0 {
		node.Style = yaml.FlowStyle
	}
	return node
}

// otherwise matches what YAML 1.1 reads as a number, a time, a truth or nothing if it stands there without
// quotes.
const otherwise = `^(?i:|~|=|<<|null|yes|no|on|off|true|false)$` +
	`|^[-+]?([0-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$` +
	`|^[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$` +
	`|^[0-9]{4}-[0-9]{2}-[0-9]{2}$` +
	`|^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?` +
	`([ \t]*(Z|[-+][0-9]{1,2}(:?[0-9]{2})?))?$`
