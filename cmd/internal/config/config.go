// Package config reads dray's configuration: one YAML file, taken strictly.
//
// Whatever the file says is either understood or refused with the line where it stands: unknown
// and repeated keys, wrong types, bad hosts, half a pair of keys. Nothing that a key names is
// opened here: certificates and secrets are read where they are used. docs/config.md is the
// description for people, testdata/example.yaml an example with every key.
package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/fault"
)

// Config is the content of the file. The zero Config is that of a file that is not there.
type Config struct {
	// Path is the file that was read; "" when there was none.
	Path string
	// Default is the name of the registry that is meant where a command names none; "" for none.
	Default string
	// Registries are the named registries, in the order of the file.
	Registries []Registry
	// Client is for verbs that a server carries out.
	Client Client
	// Server is for dray serve and dray worker.
	Server Server
}

// Registry is one named registry.
type Registry struct {
	// Name is what people write instead of the host. It can not be taken for a host.
	Name string
	// Host is "host" or "host:port" in canonical form.
	Host string
	// Kind is the product behind the host; "" lets the client find out.
	Kind Kind
	// PlainHTTP asks for http instead of https. It excludes Insecure and the certificates.
	PlainHTTP bool
	// Insecure leaves the server's certificate unchecked. Say so where it is used.
	Insecure bool
	// CAFile holds further certificates, in PEM, that may sign the server's; "" for the system's alone.
	CAFile string
	// ClientCert and ClientKey are PEM files to identify with; both or neither are "".
	ClientCert, ClientKey string
	// TokenHosts may serve this registry's tokens beside its own host.
	TokenHosts []string
	// Mirrors are the hosts of pull-through mirrors, tried first for reading, in order.
	Mirrors []string
	// Create is what is made where a push meets nothing: an ECR repository, a Harbor project.
	Create Create
	// Limits hold for this host.
	Limits Limits
	// Credentials says where the login is; the zero value says nothing.
	Credentials Credentials
}

// Limits bound the traffic with one host. Zero in any of them is dray's default, which for the
// two rates is no limit.
type Limits struct {
	Connections       int     // at the same time
	RequestsPerSecond float64 // of all kinds together
	BytesPerSecond    int64   // both directions together
	ChunkSize         int64   // bytes in one piece of an upload in pieces
}

// Create says whether missing places are made, and for whom. The zero value makes none.
type Create string

// What is made is private, or a Harbor project that everybody may read.
const (
	CreatePrivate Create = "private"
	CreatePublic  Create = "public"
)

var creates = []string{string(CreatePrivate), string(CreatePublic)}

// Kind is a registry product that dray knows the manners of.
type Kind string

// The known kinds. Generic is a registry that does what the distribution specification says.
const (
	ACR          Kind = "acr"
	DockerHub    Kind = "dockerhub"
	ECR          Kind = "ecr"
	GAR          Kind = "gar"
	GHCR         Kind = "ghcr"
	GitLab       Kind = "gitlab"
	Harbor       Kind = "harbor"
	Quay         Kind = "quay"
	Artifactory  Kind = "artifactory"
	Nexus        Kind = "nexus"
	Zot          Kind = "zot"
	Distribution Kind = "distribution"
	Gitea        Kind = "gitea"
	Generic      Kind = "generic"
)

var kinds = []string{string(ACR), string(DockerHub), string(ECR), string(GAR), string(GHCR), string(GitLab), string(Harbor),
	string(Quay), string(Artifactory), string(Nexus), string(Zot), string(Distribution), string(Gitea), string(Generic)}

// ByName finds the registry that people call name.
func (c Config) ByName(name string) (Registry, bool) {
	if i := slices.IndexFunc(c.Registries, func(r Registry) bool { return r.Name == name }); i >= 0 {
		return c.Registries[i], true
	}
	return Registry{}, false
}

// Loader says in whose name a file is read. The zero Loader has no default file and no home.
type Loader struct {
	Env  func(string) string // how variables are read, as os.Getenv; nil means none is set
	Home string              // the user's home directory, for "~/" and the default file
}

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

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

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("longer than 1 MiB")
	}
	return data, err
}

// bare takes the path out of a file system error: the Fault around it says it.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
