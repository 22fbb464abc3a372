package config

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/fault"
)

// maxFile is the largest configuration file, in bytes.
const maxFile = 1 << 20

// isYAML reports whether data is YAML, from the ending of name or from the first word that is not a
// comment. begins reports whether a first word occurs only in YAML.
func isYAML(name string, data []byte, begins func(first string) bool) bool {
	for _, end := range []string{".yaml", ".yml", ".json"} {
		if strings.HasSuffix(strings.ToLower(name), end) {
			return true
		}
	}
	yes := false
	// An error can only be an overlong line, which the later reading of data reports.
	_ = eachLine(data, name, func(_ int, words []string) error {
		first := words[0]
		yes = first == "---" || first[0] == '{' || first[0] == '[' || begins(first)
		return io.EOF
	})
	return yes
}

// eachLine calls visit with the words of each line that has any, without comments.
func eachLine(data []byte, name string, visit func(line int, words []string) error) error {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxListLine)
	n := 0
	for lines.Scan() {
		n++
		words := strings.Fields(lines.Text())
		if i := slices.IndexFunc(words, func(w string) bool { return w[0] == '#' }); i >= 0 {
			words = words[:i]
		}
		if len(words) == 0 {
			continue
		}
		if err := visit(n, words); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return badLine(name, n+1, "the line is longer than 64 KiB", "")
	}
	return nil
}

// maxListLine is the longest line of a text list, in bytes.
const maxListLine = 64 << 10

// Variable returns the value of the environment variable name. setting is the key that names it. The
// error is Invalid if the variable is not set.
func Variable(env func(string) string, setting, name string) (string, error) {
	if v := env(name); v != "" {
		return v, nil
	}
	err := errors.New("the environment variable " + name + " is not set")
	return "", &fault.Fault{Kind: fault.Invalid, Op: "read", Name: setting, Err: err}
}

// badLine returns the error "map.txt:7: invalid: cause", in the form of bad.
func badLine(name string, line int, cause, hint string) error {
	return parser{path: name}.bad(&yaml.Node{Line: line}, cause, hint)
}
