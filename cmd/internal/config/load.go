package config

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/drayage/dray/fault"
)

// Loader says in whose name a file is read. The zero Loader has no default file and no home.
type Loader struct {
	Env  func(string) string // how variables are read, as os.Getenv; nil means none is set
	Home string              // the user's home directory, for "~/" and the default file
}

// DefaultPath is $XDG_CONFIG_HOME/dray/config.yaml, else ~/.config/dray/config.yaml on every system,
// else "".
func (l Loader) DefaultPath() string {
	dir := ""
	if l.Env != nil {
		dir = l.Env("XDG_CONFIG_HOME")
	}
	// The base directory specification has relative values ignored.
	if filepath.IsAbs(dir) {
		return filepath.Join(dir, "dray", "config.yaml")
	}
	if l.Home == "" {
		return ""
	}
	return filepath.Join(l.Home, ".config", "dray", "config.yaml")
}

// LoadDefault reads the file at DefaultPath; where there is none it returns the zero Config.
// Errors are those of Load.
func (l Loader) LoadDefault() (Config, error) {
	path := l.DefaultPath()
	if path == "" {
		return Config{}, nil
	}
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	return l.parse(path, data, err)
}

// Load reads the file at path, which has to be there. Errors are Invalid and name the file and,
// where it could be read, the line of the first thing that is wrong.
func (l Loader) Load(path string) (Config, error) {
	data, err := readFile(path)
	return l.parse(path, data, err)
}

func (l Loader) parse(path string, data []byte, err error) (Config, error) {
	if err != nil {
		return Config{}, &fault.Fault{Kind: fault.Invalid, Op: "read configuration", Name: path, Err: bare(err)}
	}
	// Paths in the file are relative to it, also after a change of directory.
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
