package credential

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Files finds the files in which container tools keep logins. The zero value finds none.
type Files struct {
	// Env returns the value of an environment variable, like os.Getenv; nil means that none is set.
	Env func(string) string

	// Home is the user's home directory; "" means that the files below it are not used.
	Home string

	// Run is the directory to use if $XDG_RUNTIME_DIR is not set, instead of its directory
	// "containers". On Linux, podman uses /run/containers/UID. "" means none.
	Run string

	// HelperTimeout is how long one call of a credential helper may take; 0 means the constant
	// [HelperTimeout].
	HelperTimeout time.Duration
}

// file is one place in which logins are kept: a file, or the variable DOCKER_AUTH_CONFIG.
type file struct {
	kind string // "docker config", "podman auth.json", "REGISTRY_AUTH_FILE", "env DOCKER_AUTH_CONFIG"
	path string // "" for the variable
	text string // the value of the variable
}

// read reads and parses the logins of the place.
func (at file) read() (authFile, error) {
	if at.path != "" {
		return readAuthFile(at.path)
	}
	f, err := parseAuthFile(unmarked([]byte(at.text)))
	if err != nil {
		err = &fault.Fault{Kind: fault.Invalid, Op: "read logins", Name: at.kind, Err: err,
			Hint: `set it to the JSON itself, as in docker's config.json: {"auths": {"HOST": {"auth": "…"}}}`}
	}
	return f, err
}

// Lookups returns Lookups for these files, in this order:
//
//  1. $REGISTRY_AUTH_FILE,
//  2. $DOCKER_AUTH_CONFIG, which holds the JSON itself, for docker and CI systems,
//  3. docker's configuration: $DOCKER_CONFIG/config.json, or ~/.docker/config.json,
//  4. podman's files: $XDG_RUNTIME_DIR/containers/auth.json or Run/auth.json, then
//     $XDG_CONFIG_HOME/containers/auth.json or ~/.config/containers/auth.json.
//
// In each file, a credential helper (of credHelpers, then credsStore) is asked before the plain logins are
// used. If several keys match a repository, the one with the longest path is used. A file that does not
// exist has no logins.
//
// The Lookups remember what they read, and errors too: they read each file once and ask a helper once for
// each registry. They are safe for concurrent use. The errors are [fault.Invalid] for a malformed file, and
// those of [Helper].
func (f Files) Lookups() Chain {
	var c Chain
	for _, at := range f.files() {
		r := &reader{file: at, shown: f.short(at.path), limit: f.HelperTimeout, helped: map[string]answer{}}
		c = append(c, r.look)
	}
	return c
}

func (f Files) files() []file {
	var all []file
	add := func(kind string, elems ...string) {
		if elems[0] != "" {
			all = append(all, file{kind: kind, path: filepath.Join(elems...)})
		}
	}
	add("REGISTRY_AUTH_FILE", f.env("REGISTRY_AUTH_FILE"))
	if text := f.env("DOCKER_AUTH_CONFIG"); text != "" {
		all = append(all, file{kind: "env DOCKER_AUTH_CONFIG", text: text})
	}
	if p := f.dockerConfig(); p != "" {
		add("docker config", p)
	}
	if dir := f.env("XDG_RUNTIME_DIR"); dir != "" {
		add("podman auth.json", dir, "containers", "auth.json")
	} else {
		add("podman auth.json", f.Run, "auth.json")
	}
	if dir := f.env("XDG_CONFIG_HOME"); dir != "" {
		add("podman auth.json", dir, "containers", "auth.json")
	} else {
		add("podman auth.json", f.Home, ".config", "containers", "auth.json")
	}
	return all
}

func (f Files) dockerConfig() string {
	if dir := f.env("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	if f.Home != "" {
		return filepath.Join(f.Home, ".docker", "config.json")
	}
	return ""
}

func (f Files) env(name string) string {
	if f.Env == nil {
		return ""
	}
	return f.Env(name)
}

// short returns path with "~" for the home directory.
func (f Files) short(path string) string {
	if rest, ok := strings.CutPrefix(path, f.Home+string(filepath.Separator)); ok && f.Home != "" {
		return filepath.Join("~", rest)
	}
	return path
}

type answer struct {
	login Login
	ok    bool
	err   error
}

// reader reads one file and remembers its answers. It holds the lock while a helper runs, so that many
// goroutines do not ask a keychain for the same login at the same time, and wait only once for a helper
// that hangs.
type reader struct {
	file
	shown string
	limit time.Duration

	mu      sync.Mutex
	read    bool
	content authFile
	err     error
	helped  map[string]answer // the answers of helpers, by helper and host
}

func (r *reader) look(ctx context.Context, repo ref.Repo) (Login, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read {
		r.content, r.err = r.file.read()
		r.read = true
	}
	if r.err != nil {
		return Login{}, false, r.err
	}
	if name := r.content.helperFor(repo); name != "" {
		if a := r.ask(ctx, name, repo.Host); a.ok || a.err != nil {
			return a.login, a.ok, a.err
		}
	}
	l, ok, err := r.content.login(repo)
	if err != nil {
		return Login{}, false, &fault.Fault{Kind: fault.Invalid, Op: "read logins", Name: cmp.Or(r.path, r.kind),
			Hint: "log in again", Err: err}
	}
	l.From = strings.TrimSpace(r.kind + " " + r.shown)
	return l, ok, nil
}

func (r *reader) ask(ctx context.Context, name, host string) answer {
	key := name + " " + host
	if a, ok := r.helped[key]; ok {
		return a
	}
	var a answer
	a.login, a.ok, a.err = helper{name, r.limit}.find(ctx, host)
	if a.ok {
		a.login.From += " (" + strings.TrimSpace(r.kind+" "+r.shown) + ")"
	}
	if f, ok := errors.AsType[*fault.Fault](a.err); ok {
		a.err = &fault.Fault{Kind: f.Kind, Op: "use " + r.kind, Name: r.shown, Err: a.err}
	}
	if ctx.Err() == nil { // do not remember the result of a canceled call
		r.helped[key] = a
	}
	return a
}
