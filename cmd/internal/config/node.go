package config

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

var (
	sizeForm = lazily(`^([0-9]+)(?: ?(KiB|MiB|GiB|KB|MB|GB|B))?$`)
	units    = map[string]int64{
		"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
	typeName = map[string]string{
		"!!bool": "true or false", "!!int": "a number", "!!float": "a number", "!!timestamp": "a date",
		"!!map": "a mapping", "!!seq": "a list", "!!str": "text",
	}
)

// mapping reads the mapping n with fields. A key that is not among them is an error. what is the name
// of the mapping in errors.
func (p parser) mapping(n *yaml.Node, what string, fields []field) error {
	return p.each(n, what, func(key, value *yaml.Node) error {
		var known []string
		for _, f := range fields {
			if f.key == key.Value {
				if err := p.written(value); err != nil {
					return named(f.key, err)
				}
				return named(f.key, f.read(value))
			}
			known = append(known, f.key)
		}
		return p.bad(key, "unknown key "+strconv.Quote(key.Value)+nearest(key.Value, known),
			"known keys: "+strings.Join(known, ", "))
	})
}

// each calls pair for each key of the mapping n, in order. A repeated key is an error.
func (p parser) each(n *yaml.Node, what string, pair func(key, value *yaml.Node) error) error {
	if err := p.is(n, "!!map", what); err != nil {
		return err
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			return p.bad(key, "the key is not text", "put it in quotes")
		}
		if first, ok := lines[key.Value]; ok {
			cause := "key " + strconv.Quote(key.Value) + " appears twice (first in line " + strconv.Itoa(first) + ")"
			return p.bad(key, cause, "remove one of them")
		}
		lines[key.Value] = key.Line
		if err := pair(key, value); err != nil {
			return err
		}
	}
	return nil
}

// list reads a sequence, each item with read, and appends it to out.
func list[T any](p parser, n *yaml.Node, out *[]T, read func(*yaml.Node, *T) error) error {
	if err := p.is(n, "!!seq", ""); err != nil {
		return err
	}
	for _, item := range n.Content {
		var v T
		if err := p.written(item); err != nil {
			return named("an item", err)
		}
		if err := read(item, &v); err != nil {
			return named("each item", err)
		}
		*out = append(*out, v)
	}
	return nil
}

// text reads a text that is not empty.
func (p parser) text(n *yaml.Node, out *string) error {
	if err := p.is(n, "!!str", ""); err != nil {
		return err
	}
	if n.Value == "" {
		return p.empty(n)
	}
	*out = n.Value
	return nil
}

// oneOf reads one of the words known. what says in errors what the word is.
func (p parser) oneOf(n *yaml.Node, known []string, what string, out *string) error {
	if err := p.written(n); err != nil {
		return err
	}
	if err := p.text(n, out); err != nil {
		return err
	}
	if !slices.Contains(known, *out) {
		return p.bad(n, "unknown "+what+" "+strconv.Quote(*out)+nearest(*out, known), "use one of "+strings.Join(known, ", "))
	}
	return nil
}

// boolean reads true or false.
func (p parser) boolean(n *yaml.Node, out *bool) error {
	if err := p.is(n, "!!bool", ""); err != nil {
		return err
	}
	*out = strings.EqualFold(n.Value, "true")
	return nil
}

// maxCount is the largest number of a key and of a flag.
const maxCount = 1_000_000_000

// count reads a whole number from 0 to maxCount.
func (p parser) count(n *yaml.Node, out *int) error {
	v, err := strconv.Atoi(n.Value)
	if n.ShortTag() != "!!int" || err != nil || v < 0 || v > maxCount {
		return p.outOfRange(n, "a whole number from 0 to "+strconv.Itoa(maxCount))
	}
	*out = v
	return nil
}

// rate reads a number from 0 to maxCount.
func (p parser) rate(n *yaml.Node, out *float64) error {
	v, err := strconv.ParseFloat(n.Value, 64)
	t, within := n.ShortTag(), v >= 0 && v <= maxCount // not NaN
	if t != "!!int" && t != "!!float" || err != nil || !within {
		return p.outOfRange(n, "a number from 0 to "+strconv.Itoa(maxCount))
	}
	*out = v
	return nil
}

// size reads a size as Size does.
func (p parser) size(n *yaml.Node, out *int64) error {
	v, err := Size(n.Value)
	switch t := n.ShortTag(); {
	case t != "!!int" && t != "!!str" || errors.Is(err, errNoSize):
		return p.wants(n, "a size such as 4MiB")
	case err != nil:
		return p.bad(n, err.Error(), "")
	}
	*out = v
	return nil
}

var errNoSize = errors.New("not a size such as 4MiB")

// Size parses a size: "4MiB", "100 KB" (1024 and 1000 to the power) or a number of bytes.
func Size(text string) (int64, error) {
	m := sizeForm().FindStringSubmatch(text)
	if m == nil {
		return 0, errNoSize
	}
	v, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || v > math.MaxInt64/units[m[2]] {
		return 0, errors.New("too large: " + strconv.Quote(text))
	}
	return v * units[m[2]], nil
}

// written returns an error for a value that is null or an alias.
func (p parser) written(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return p.bad(n, "anchors and aliases are not supported", "write the value itself")
	case n.ShortTag() == "!!null":
		return p.empty(n)
	}
	return nil
}

// is returns an error if n does not have the type tag. what is the name of n in the error; it may be "".
func (p parser) is(n *yaml.Node, tag, what string) error {
	switch {
	case n.ShortTag() == tag:
		return nil
	case what != "":
		return p.bad(n, what+" must be "+typeName[tag]+found(n), "")
	}
	return p.wants(n, typeName[tag])
}

// wants returns the error that n must be what.
func (p parser) wants(n *yaml.Node, what string) error {
	hint := ""
	if what == typeName["!!str"] && n.Kind == yaml.ScalarNode {
		hint = "put it in quotes"
	}
	return &fault.Fault{Kind: fault.Invalid, Name: p.at(n), Hint: hint, Err: wrongValue{"must be " + what + found(n)}}
}

// wrongValue is the cause of an error about a value that has no name yet.
type wrongValue struct{ cause string }

func (w wrongValue) Error() string { return w.cause }

// empty returns the error that n has no value.
func (p parser) empty(n *yaml.Node) error {
	return &fault.Fault{Kind: fault.Invalid, Name: p.at(n), Hint: "set a value or remove the key",
		Err: wrongValue{"has no value"}}
}

// outOfRange returns the error that n must be what. It shows a number, which is no secret here.
func (p parser) outOfRange(n *yaml.Node, what string) error {
	if t := n.ShortTag(); t != "!!int" && t != "!!float" {
		return p.wants(n, what)
	}
	return &fault.Fault{Kind: fault.Invalid, Name: p.at(n), Err: wrongValue{"must be " + what + ", found " + n.Value}}
}

// named adds the name of a value to an error of wants or empty. It returns any other error unchanged.
func named(what string, err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if w, nameless := errors.AsType[wrongValue](err); ok && nameless {
		f.Err = errors.New(what + " " + w.Error())
	}
	return err
}

// found returns the type of n for an error. It does not return the value, which may be a secret in the
// wrong place.
func found(n *yaml.Node) string {
	if name, ok := typeName[n.ShortTag()]; ok {
		return ", found " + name
	}
	return ""
}

// nearest returns ` (did you mean "x"?)` for the known word that is most similar to word, or "" if none
// is similar.
func nearest(word string, known []string) string {
	if len(word) > 64 {
		return "" // not similar to any known word, and slow to compare
	}
	plain := strings.ReplaceAll(strings.ToLower(word), "_", "-")
	best, least := "", len(word)+1
	for _, k := range known {
		far := max(2, len(word)/3, len(k)/3)
		if d := levenshtein.Distance(plain, k, nil); d < least && d <= far && d < len(k) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + strconv.Quote(best) + "?)"
}

// host reads "HOST" or "HOST:PORT".
func (p parser) host(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	host, err := ref.Host(*out)
	if err != nil {
		what := "not a host: " + strconv.Quote(*out)
		if strings.Contains(*out, "@") { // it may contain a password
			what = "not a host"
		}
		return p.bad(n, what, "write HOST or HOST:PORT, without http:// and path; logins belong under credentials:")
	}
	*out = host
	return nil
}

// filePath reads a path and makes it absolute. "~/" means the home directory. A relative path starts
// from the directory of the file.
func (p parser) filePath(n *yaml.Node, out *string) error {
	var s string
	if err := p.text(n, &s); err != nil {
		return err
	}
	rest, ours := strings.CutPrefix(s, "~/")
	switch {
	case strings.ContainsRune(s, 0):
		return p.bad(n, "not a path: "+strconv.Quote(s), "")
	case ours && p.home == "":
		return p.bad(n, "the home directory is not known: "+strconv.Quote(s), "use an absolute path")
	case ours:
		s = filepath.Join(p.home, rest)
	case strings.HasPrefix(s, "~"):
		return p.bad(n, "no such directory: "+strconv.Quote(s), "only ~/ is supported; use an absolute path")
	case !filepath.IsAbs(s):
		s = filepath.Join(p.dir, s)
	}
	*out = filepath.Clean(s)
	return nil
}

// variable reads the name of an environment variable.
func (p parser) variable(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	if !envForm().MatchString(*out) {
		// The value may be the secret itself by mistake, so the error does not contain it.
		return p.bad(n, "not the name of an environment variable", "write the variable's name, without $, not its value")
	}
	return nil
}

var envForm = lazily(`^[A-Za-z_][A-Za-z0-9_]*$`)
