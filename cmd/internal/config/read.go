package config

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/fault"
)

// readFile reads a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("the file is longer than 1 MiB")
	}
	return data, err
}

// maxFile is the largest configuration file, in bytes.
const maxFile = 1 << 20

// readFileOf reads a file of at most limit bytes of UTF-8, without its byte order mark.
func readFileOf(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, limit)
}

// readAll reads at most limit bytes of UTF-8 and removes a byte order mark.
func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: name, Err: bare(err)}
	case int64(len(data)) > limit:
		err := fmt.Errorf("the file is longer than %d MiB", limit>>20)
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: name, Err: err}
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		err, hint := errors.New("the file is UTF-16"), "save the file as UTF-8"
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: name, Hint: hint, Err: err}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := firstInvalid(data); i >= 0 {
		return nil, badLine(name, 1+bytes.Count(data[:i], []byte("\n")), "not UTF-8", "save the file as UTF-8")
	}
	return data, nil
}

// firstInvalid returns the index of the first byte that is not valid UTF-8 or is zero, or -1.
func firstInvalid(data []byte) int {
	if utf8.Valid(data) {
		return bytes.IndexByte(data, 0)
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

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

// bare returns err without its path, because the Fault around it contains the path.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
