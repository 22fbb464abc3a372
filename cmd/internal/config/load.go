package config

import (
	_ "embed"
	"errors"
	"io/fs"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/fault"
)

//go:embed schema.json
var schema string

// Schema returns the JSON Schema (draft 2020-12) of the configuration file.
func Schema() []byte { return []byte(schema) }

// maxFile is the largest configuration file, in bytes.
const maxFile = 1 << 20

// Loader reads the configuration of a user. The zero Loader has no default file and no home directory.
type Loader struct {
	Env  func(string) string // returns an environment variable, as os.Getenv does; nil means that none is set
	Home string              // the user's home directory, for "~/" and the default file
}

// DefaultPath returns $XDG_CONFIG_HOME/dray/config.yaml, else ~/.config/dray/config.yaml on every
// system. Without a home directory it returns "".
func (l Loader) DefaultPath() string {
	dir := ""
	if l.Env != nil {
		dir = l.Env("XDG_CONFIG_HOME")
	}
	// The XDG Base Directory Specification requires that a relative value is ignored.
	if filepath.IsAbs(dir) {
		return filepath.Join(dir, "dray", "config.yaml")
	}
	if l.Home == "" {
		return ""
	}
	return filepath.Join(l.Home, ".config", "dray", "config.yaml")
}

// LoadDefault reads the file at DefaultPath. If it does not exist, LoadDefault returns the zero Config.
// Errors are those of Load.
func (l Loader) LoadDefault() (Config, error) {
	path := l.DefaultPath()
	if path == "" {
		return Config{}, nil
	}
	data, err := textfile.Read("read configuration", path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	return l.parse(path, data, err)
}

// Load reads the file at path, which must exist. Errors are Invalid. They name the file and, if it
// could be read, the line of the first mistake.
func (l Loader) Load(path string) (Config, error) {
	data, err := textfile.Read("read configuration", path, maxFile)
	return l.parse(path, data, err)
}

func (l Loader) parse(path string, data []byte, err error) (Config, error) {
	if err != nil {
		if f, ok := errors.AsType[*fault.Fault](err); ok && errors.Is(err, fs.ErrNotExist) {
			f.Hint = "create this file, or name another one"
		}
		return Config{}, err
	}
	// Paths in the file are relative to its directory. The path must be absolute, so that it stays valid
	// if the process changes its directory.
	whole, err := filepath.Abs(path)
	if err != nil {
		return Config{}, &fault.Fault{Kind: fault.Invalid, Op: "read configuration", Name: path, Err: err}
	}
	p := parser{path: path, dir: filepath.Dir(whole), home: l.Home}
	c, err := p.file(data)
	if err != nil {
		return Config{}, err
	}
	c.Path = path
	return c, nil
}

// Lines reads the file c.Path again, and returns the line of each key, such as "registries.prod.host". Without a
// file, or for an empty one, it returns nil.
func (c Config) Lines() (map[string]int, error) {
	if c.Path == "" {
		return nil, nil
	}
	data, err := textfile.Read("read configuration", c.Path, maxFile)
	if err != nil {
		return nil, err
	}
	root, err := parser{path: c.Path}.root(data)
	if err != nil || root == nil {
		return nil, err
	}
	lines := map[string]int{}
	keyLines(root, "", lines)
	return lines, nil
}

// keyLines stores in lines the line of each key below n.
func keyLines(n *yaml.Node, prefix string, lines map[string]int) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := prefix + n.Content[i].Value
		lines[key] = n.Content[i].Line
		keyLines(n.Content[i+1], key+".", lines)
	}
}
