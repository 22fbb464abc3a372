package config

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/drayage/dray/cmd/internal/config/text"
	"github.com/drayage/dray/fault"
)

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
	data, err := text.ReadFile("read configuration", path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	return l.parse(path, data, err)
}

// Load reads the file at path, which must exist. Errors are Invalid. They name the file and, if it
// could be read, the line of the first mistake.
func (l Loader) Load(path string) (Config, error) {
	data, err := text.ReadFile("read configuration", path, maxFile)
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
