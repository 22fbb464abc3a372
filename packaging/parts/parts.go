package parts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
)

// Module is a module that a program is built from. The standard library is the module "std", with the version of Go.
type Module struct {
	Path    string
	Version string
	Texts   []Text // its licenses and notices, by file name
}

// Text is a file with a license or a notice.
type Text struct {
	File    string // its path in the module
	Content []byte
}

// Target says for what a program is built.
type Target struct {
	OS, Arch string // "" means those of this machine
	Tags     string // build tags, separated by commas
}

// pack is what go list says of a package.
type pack struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Dir string }
	}
}

// List returns the modules of the programs in the packages, by path, without the main module. It runs go in the
// current directory.
func List(ctx context.Context, t Target, packages ...string) ([]Module, error) {
	roots, version, err := golang(ctx)
	if err != nil {
		return nil, err
	}
	args := append([]string{"list", "-deps", "-tags", t.Tags, "-json=Dir,Standard,Module", "--"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if t.OS != "" {
		cmd.Env = append(cmd.Env, "GOOS="+t.OS, "GOARCH="+t.Arch)
	}
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	std := Module{Path: "std", Version: version}
	found := map[string]*module{"std": {Module: std, root: roots, dirs: map[string]bool{roots: true}}}
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var p pack
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := found[p.Module.Path]
		if m == nil {
			own := Module{Path: p.Module.Path, Version: p.Module.Version}
			m = &module{Module: own, root: p.Module.Dir, dirs: map[string]bool{}}
			if r := p.Module.Replace; r != nil {
				m.root = r.Dir
			}
			found[p.Module.Path] = m
		}
		m.above(p.Dir)
	}
	return read(found)
}

// golang returns the directory of Go's license, and Go's version.
func golang(ctx context.Context) (root, version string, err error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return "", "", fmt.Errorf("go env: %w", err)
	}
	root, version, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return root, strings.TrimPrefix(version, "go"), nil
}

// module is a Module while it is read.
type module struct {
	Module
	root string
	dirs map[string]bool // where its texts may be: the directories of its packages, and those above them
}

// above notes dir and the directories above it, up to the root of the module.
func (m *module) above(dir string) {
	for ; !m.dirs[dir]; dir = filepath.Dir(dir) {
		m.dirs[dir] = true
		if dir == m.root || len(dir) <= len(m.root) {
			return
		}
	}
}

// named matches the names of files with licenses of code. LICENSE.docs is for documentation, which no program contains.
var named = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

// read reads the texts of the modules.
func read(found map[string]*module) ([]Module, error) {
	var all []Module
	for _, path := range slices.Sorted(maps.Keys(found)) {
		m := found[path]
		for _, dir := range slices.Sorted(maps.Keys(m.dirs)) {
			if err := m.readFrom(dir); err != nil {
				return nil, err
			}
		}
		all = append(all, m.Module)
	}
	return all, nil
}

func (m *module) readFrom(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); f.IsDir() || !named.MatchString(f.Name()) || ext == ".go" || ext == ".docs" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		in, err := filepath.Rel(m.root, filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		m.Texts = append(m.Texts, Text{File: filepath.ToSlash(in), Content: raw})
	}
	return nil
}

// Judge tells licenses by their texts. It is slow to make.
type Judge struct{ *classifier.Classifier }

// NewJudge returns a Judge that knows the licenses of SPDX.
func NewJudge() (Judge, error) {
	c, err := assets.DefaultClassifier()
	return Judge{c}, err
}

// Licenses returns the SPDX identifiers of the licenses of m, sorted.
func (j Judge) Licenses(m Module) []string {
	ids := map[string]bool{}
	for _, t := range m.Texts {
		for _, match := range j.Match(t.Content).Matches {
			if (match.MatchType == "License" || match.MatchType == "Header") && match.Confidence >= 0.9 {
				ids[match.Name] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(ids), cmp.Compare[string])
}
