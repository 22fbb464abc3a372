package textfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
)

// Open opens a file that the user named, for op, such as "read list". The error is Invalid and names the file.
// It says at once that path is a directory.
func Open(op, path string) (*os.File, error) {
	f, err := os.Open(path)
	if err == nil {
		info, unknown := f.Stat()
		if unknown != nil || !info.IsDir() {
			return f, nil
		}
		f.Close()
		err = syscall.EISDIR
	}
	hint := "allow the user that runs dray to read the file"
	if errors.Is(err, syscall.EISDIR) {
		hint = "name a file in it"
	} else if errors.Is(err, fs.ErrNotExist) {
		hint = "correct the path, or create the file"
	}
	return nil, &fault.Fault{Kind: fault.Invalid, Op: op, Name: path, Err: Bare(err), Hint: hint}
}

// Read reads a file of at most limit bytes of UTF-8, without its byte order mark.
func Read(op, path string, limit int64) ([]byte, error) {
	f, err := Open(op, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(op, f, path, limit)
}

// ReadAll reads at most limit bytes of UTF-8 and removes a byte order mark. name is the name of r in errors, and
// op is what it is read for. The error is Invalid.
func ReadAll(op string, r io.Reader, name string, limit int64) ([]byte, error) {
	bad := func(err error, hint string) ([]byte, error) {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Hint: hint, Err: err}
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return bad(Bare(err), "")
	case int64(len(data)) > limit:
		return bad(fmt.Errorf("the file is longer than %d MiB", limit>>20), "name another file, or divide it")
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return bad(errors.New("the file is UTF-16"), "save the file as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := firstInvalid(data); i >= 0 {
		return nil, BadLine(name, 1+bytes.Count(data[:i], []byte("\n")), "not UTF-8 text", "save the file as UTF-8 text")
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

// IsYAML reports whether data is YAML, from the ending of name or from the first word that is not a
// comment. begins reports whether a first word occurs only in YAML.
func IsYAML(name string, data []byte, begins func(first string) bool) bool {
	for _, end := range []string{".yaml", ".yml", ".json"} {
		if strings.HasSuffix(strings.ToLower(name), end) {
			return true
		}
	}
	yes := false
	// An error can only be an overlong line, which the later reading of data reports.
	_ = EachLine(data, name, func(_ int, words []string) error {
		first := words[0]
		yes = first == "---" || first[0] == '{' || first[0] == '[' || begins(first)
		return io.EOF
	})
	return yes
}

// EachLine calls visit with the words of each line that has any, without comments.
func EachLine(data []byte, name string, visit func(line int, words []string) error) error {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, MaxLine)
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
		return BadLine(name, n+1, "the line is longer than 64 KiB", "")
	}
	return nil
}

// MaxLine is the longest line of a list, in bytes.
const MaxLine = 64 << 10

// BadLine returns the error "map.txt:7: invalid: cause".
func BadLine(name string, line int, cause, hint string) error {
	at := name + ":" + strconv.Itoa(line)
	return &fault.Fault{Kind: fault.Invalid, Name: at, Hint: hint, Err: errors.New(cause)}
}

// Bare returns err without its path, because the Fault around it contains the path.
func Bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// maxSecret is the largest password or token file, in bytes.
const maxSecret = 64 << 10

// Secret reads a file that holds a password or a token, of at most 64 KiB. The error is Invalid or NotFound.
func Secret(path string) (string, error) {
	const op = "read password or token"
	f, err := Open(op, path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(data) > maxSecret {
		err = errors.New("the file is longer than 64 KiB")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: op, Name: path, Err: Bare(err),
			Hint: "name a file that holds only the password or the token"}
	}
	return string(data), nil
}

// Variable returns the value of the environment variable name. setting is the key that names it. The
// error is Invalid if the variable is not set.
func Variable(env func(string) string, setting, name string) (string, error) {
	if v := env(name); v != "" {
		return v, nil
	}
	err := errors.New("the environment variable " + name + " is not set")
	return "", &fault.Fault{Kind: fault.Invalid, Op: "read", Name: setting, Err: err}
}
