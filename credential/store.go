package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ours"
	"github.com/drayage/dray/ref"
)

// Place says where a login is stored.
type Place struct {
	// Name is for people: "credential helper docker-credential-pass", "docker config
	// ~/.docker/config.json".
	Name string

	// Plain says that the login is only base64 encoded, so that everyone who can read the file can use
	// it. Tell the user.
	Plain bool
}

// String returns p.Name.
func (p Place) String() string { return p.Name }

// Save stores l for host where docker, podman, skopeo and crane find it: in $REGISTRY_AUTH_FILE if that is
// set, else in docker's configuration. If that file names a credential helper for host, Save stores l in the
// helper and removes a plain login from the file.
//
// The file gets mode 0600 and is replaced in one step. Its other content does not change. A symbolic link
// is followed. If two processes save at the same time, one of the two logins may be lost, as with docker
// itself.
//
// The error is [fault.Invalid] for a host or a file that is not valid, and for a login that cannot be stored:
// an anonymous one, Exchange, or a bearer token that is not a JWT. It is [fault.Unavailable] if the file
// cannot be written; the file then stays as it was. Other errors are those of [Helper].
func (f Files) Save(ctx context.Context, host string, l Login) (Place, error) {
	host, err := ref.Host(host)
	if err != nil {
		return Place{}, err
	}
	if err := keepable(host, l); err != nil {
		return Place{}, err
	}
	at, content, err := f.home(host)
	if err != nil {
		return Place{}, err
	}
	if name := content.helperFor(ref.Repo{Host: host}); name != "" {
		h := helper{name, f.HelperTimeout}
		if err := h.store(ctx, at.server(host), l); err != nil {
			return Place{}, err
		}
		if content.drop(host) {
			err = content.write(at.path)
		}
		return Place{Name: "credential helper " + h.String()}, err
	}
	value, err := encodeEntry(l)
	if err != nil {
		return Place{}, cannotWrite(at.path, err)
	}
	content.drop(host)
	content.auths.set(at.server(host), value)
	return Place{Name: at.kind + " " + f.short(at.path), Plain: true}, content.write(at.path)
}

// Erase removes the login for host, in all spellings, from the place where [Files.Save] would store it.
// Logins for paths below the host stay. removed is false if there was no login. The errors are those of
// Save.
func (f Files) Erase(ctx context.Context, host string) (from Place, removed bool, err error) {
	host, err = ref.Host(host)
	if err != nil {
		return Place{}, false, err
	}
	at, content, err := f.home(host)
	if err != nil {
		return Place{}, false, err
	}
	from = Place{Name: at.kind + " " + f.short(at.path), Plain: true}
	if name := content.helperFor(ref.Repo{Host: host}); name != "" {
		h := helper{name, f.HelperTimeout}
		from = Place{Name: "credential helper " + h.String()}
		if removed, err = h.erase(ctx, host); err != nil {
			return from, removed, err
		}
	}
	if !content.drop(host) {
		return from, removed, nil
	}
	return from, true, content.write(at.path)
}

// keepable refuses logins that no other tool could use, and logins that would be read back as another kind
// of login.
func keepable(host string, l Login) error {
	no := func(cause, hint string) error {
		return &fault.Fault{Kind: fault.Invalid, Op: "save login for", Name: host, Hint: hint, Err: errors.New(cause)}
	}
	switch s, _ := tokenScheme(l.Password.Reveal()); {
	case l.Password.IsZero():
		return no("no password", "provide the password")
	case l.Scheme == Basic && (l.User == "" || strings.Contains(l.User, ":")):
		return no("the user name is empty or contains a colon", "provide a user name without a colon")
	case l.Scheme == Exchange:
		return no("an Entra token expires within an hour", "exchange it for a refresh token of the registry first")
	case l.Scheme == Bearer && s != Bearer:
		return no("this bearer token cannot be stored", "log in with a user and a password")
	}
	return nil
}

// home returns the file that Save and Erase change, and its content.
func (f Files) home(host string) (file, authFile, error) {
	at := file{kind: "docker config", path: f.dockerConfig()}
	if p := f.env("REGISTRY_AUTH_FILE"); p != "" {
		at = file{kind: "REGISTRY_AUTH_FILE", path: p}
	}
	if at.path == "" {
		return file{}, authFile{}, &fault.Fault{Kind: fault.Invalid, Op: "find the logins for", Name: host,
			Hint: "set DOCKER_CONFIG or REGISTRY_AUTH_FILE", Err: errors.New("no home directory")}
	}
	content, err := readAuthFile(at.path)
	return at, content, err
}

// server returns the key under which the tool that owns the file looks for host.
func (at file) server(host string) string {
	if host == ref.DockerHub && at.kind == "docker config" {
		return hubServer
	}
	return host
}

// drop removes every entry for host itself, and not those for paths below it. It reports whether one of the
// entries was a login.
func (f *authFile) drop(host string) (found bool) {
	var kept object
	for _, p := range f.auths {
		if h, path, ok := splitKey(p.key); !ok || h != host || path != "" {
			kept = append(kept, p)
			continue
		}
		l, err := decodeEntry(p.value)
		found = found || err != nil || !l.IsAnonymous()
	}
	f.auths = kept
	return found
}

// write replaces the file at path in one step, so that a reader never sees half of it.
func (f *authFile) write(path string) error {
	f.all.set("auths", f.auths.text("\t"))
	data := append(f.all.text(""), '\n')
	file, err := ours.Resolve(path)
	if fault.Is(err, fault.Denied) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		file = path
		if _, dangling := os.Readlink(path); dangling == nil {
			return cannotWrite(path, errors.New("it is a symbolic link to a file that does not exist"))
		}
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err != nil {
		return cannotWrite(path, err)
	}
	// CreateTemp creates the file with mode 0600.
	tmp, err := os.CreateTemp(filepath.Dir(file), ".dray-login-*")
	if err != nil {
		return cannotWrite(path, err)
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return cannotWrite(path, err)
	}
	return nil
}

// text formats the object as docker does, with one member on each line and tabs for indentation. It does
// not change the bytes of the values.
func (o object) text(indent string) json.RawMessage {
	if len(o) == 0 {
		return json.RawMessage("{}")
	}
	var b bytes.Buffer
	for i, p := range o {
		b.WriteString([]string{"{\n", ",\n"}[min(i, 1)] + indent + "\t")
		key, _ := json.Marshal(p.key) // cannot fail for a string
		b.Write(key)
		b.WriteString(": ")
		b.Write(p.value)
	}
	b.WriteString("\n" + indent + "}")
	return b.Bytes()
}

func cannotWrite(path string, cause error) error {
	return &fault.Fault{Kind: fault.Unavailable, Op: "write logins", Name: path,
		Hint: "check the permissions of the directory and the free space", Err: cause}
}
