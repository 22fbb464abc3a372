package credential

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// hubServer is the key under which docker keeps the login for Docker Hub.
const hubServer = "https://index.docker.io/v1/"

// maxFile is the maximum size of a file in bytes.
const maxFile = 4 << 20

var (
	errNotObject = errors.New("not a JSON object")
	errTwice     = errors.New("a key occurs twice")
	errTrailing  = errors.New("there is text after the JSON object")
	errBadAuth   = errors.New(`"auth" is not the base64 of USER:PASSWORD`)
)

// serverNames returns the names under which tools keep the login for host in a helper, the most common one
// first.
func serverNames(host string) []string {
	if host == ref.DockerHub {
		return []string{hubServer, ref.DockerHub}
	}
	return []string{host}
}

// pair is one member of a JSON object. Its value stays raw, so that unknown content is written back
// unchanged.
type pair struct {
	key   string
	value json.RawMessage
}

// object is a JSON object whose members keep their order.
type object []pair

func (o object) get(key string) json.RawMessage {
	for _, p := range o {
		if p.key == key {
			return p.value
		}
	}
	return nil
}

// set replaces the value of key at its position, or adds key at the end.
func (o *object) set(key string, value json.RawMessage) {
	for i := range *o {
		if (*o)[i].key == key {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, pair{key, value})
}

func parseObject(data []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotObject
	}
	var o object
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return nil, errNotObject
		}
		if seen[key] {
			return nil, errTwice
		}
		seen[key] = true
		p := pair{key: key}
		if d.Decode(&p.value) != nil {
			return nil, errNotObject
		}
		o = append(o, p)
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return o, nil
}

// authFile is docker's config.json or podman's auth.json. Both have the same format.
type authFile struct {
	all     object            // the whole file, for writing it back
	auths   object            // the plain logins
	helpers map[string]string // the helper for a host; "" means no helper: use auths
	store   string            // the helper for all other hosts
}

// parseAuthFile parses a file of either kind. An empty file has no logins. Errors never contain text of the
// file, which may be secret.
func parseAuthFile(data []byte) (authFile, error) {
	var f authFile
	if len(bytes.TrimSpace(data)) == 0 {
		return f, nil
	}
	var err error
	if f.all, err = parseObject(data); err != nil {
		return authFile{}, err
	}
	if raw := f.all.get("auths"); raw != nil && string(raw) != "null" {
		if f.auths, err = parseObject(raw); err != nil {
			return authFile{}, errors.New(`"auths": ` + err.Error())
		}
	}
	if raw := f.all.get("credHelpers"); raw != nil && json.Unmarshal(raw, &f.helpers) != nil {
		return authFile{}, errors.New(`"credHelpers": not an object of strings`)
	}
	if raw := f.all.get("credsStore"); raw != nil && json.Unmarshal(raw, &f.store) != nil {
		return authFile{}, errors.New(`"credsStore": not a string`)
	}
	return f, nil
}

// readAuthFile reads and parses the file at path. It returns an empty authFile if there is no such file.
func readAuthFile(path string) (authFile, error) {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return authFile{}, nil
	}
	var f authFile
	if err == nil {
		f, err = parseAuthFile(data)
	}
	if err != nil {
		return authFile{}, &fault.Fault{Kind: fault.Invalid, Op: "read logins", Name: path,
			Hint: "correct the file, or move it away and log in again", Err: err}
	}
	return f, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("the file is longer than 4 MiB")
	}
	return unmarked(data), err
}

// unmarked returns text without the byte order mark that Windows editors and PowerShell write before it.
func unmarked(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// helperFor returns the name of the helper that keeps the login for repo, or "".
func (f authFile) helperFor(repo ref.Repo) string {
	keys := make([]string, 0, len(f.helpers))
	for k := range f.helpers {
		keys = append(keys, k)
	}
	if k, ok := bestKey(keys, repo); ok {
		return f.helpers[k]
	}
	return f.store
}

// login returns the plain login for repo. ok is false also for an empty entry, which docker leaves in the
// file if a helper keeps the login.
func (f authFile) login(repo ref.Repo) (Login, bool, error) {
	var keys []string
	for _, p := range f.auths {
		if l, err := decodeEntry(p.value); err != nil || !l.IsAnonymous() {
			keys = append(keys, p.key)
		}
	}
	k, ok := bestKey(keys, repo)
	if !ok {
		return Login{}, false, nil
	}
	l, err := decodeEntry(f.auths.get(k))
	if err != nil {
		place := strings.TrimSuffix(repo.Host+"/"+pathOfKey(k), "/")
		return Login{}, false, errors.New("login for " + place + ": " + err.Error())
	}
	return l, true, nil
}

// bestKey returns the key that names repo most closely. It prefers the longest path, then the spelling that
// docker writes, then the plain host, then alphabetical order.
func bestKey(keys []string, repo ref.Repo) (string, bool) {
	slices.Sort(keys)
	best, rank := "", -1
	for _, k := range keys {
		host, path, ok := splitKey(k)
		if !ok || host != repo.Host || !covers(path, repo.Path) {
			continue
		}
		r := 4 * len(path)
		switch k {
		case hubServer:
			r += 2
		case repo.Host:
			r++
		}
		if r > rank {
			best, rank = k, r
		}
	}
	return best, rank >= 0
}

// splitKey splits a key: "host", "host/ns/repo" (podman), or "https://host/v1/" and similar (old versions of
// docker). A key with a scheme names a host only.
func splitKey(key string) (host, path string, ok bool) {
	rest, web := strings.CutPrefix(key, "https://")
	if !web {
		rest, web = strings.CutPrefix(key, "http://")
	}
	host, path, _ = strings.Cut(rest, "/")
	path = strings.TrimRight(path, "/")
	if web || path == "v1" || path == "v2" {
		path = ""
	}
	host, err := ref.Host(host)
	return host, path, err == nil
}

func pathOfKey(key string) string {
	_, path, _ := splitKey(key)
	return path
}

// entry is one login in the form of docker and podman.
type entry struct {
	Auth          string `json:"auth,omitempty"`
	Username      string `json:"username,omitempty"` // read but never written
	Password      string `json:"password,omitempty"` // read but never written
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"` // read but never written
}

func decodeEntry(raw json.RawMessage) (Login, error) {
	var e entry
	if json.Unmarshal(raw, &e) != nil {
		return Login{}, errNotObject
	}
	user, password := e.Username, e.Password
	if e.Auth != "" {
		plain, err := base64.StdEncoding.DecodeString(e.Auth)
		if err != nil {
			return Login{}, errBadAuth
		}
		var ok bool
		if user, password, ok = strings.Cut(string(plain), ":"); !ok {
			return Login{}, errBadAuth
		}
		password = strings.TrimRight(password, "\x00") // old versions of docker padded it
	}
	switch {
	case e.RegistryToken != "":
		return Login{Scheme: Bearer, Password: New(e.RegistryToken)}, nil
	case e.IdentityToken != "":
		return Login{Scheme: Refresh, Password: New(e.IdentityToken)}, nil
	case password == "":
		return Login{}, nil // anonymous, whatever the user is
	}
	return stored(user, password), nil
}

// encodeEntry returns l in a form that docker, podman, skopeo and crane read. The auth field next to an
// identity token contains no password, but is needed: podman ignores an entry without it.
func encodeEntry(l Login) (json.RawMessage, error) {
	var e entry
	switch l.Scheme {
	case Basic:
		e.Auth = encodeAuth(l.User, l.Password.Reveal())
	case Bearer:
		e.Auth = encodeAuth(TokenUser, l.Password.Reveal())
	case Refresh:
		e = entry{Auth: encodeAuth(TokenUser, ""), IdentityToken: l.Password.Reveal()}
	}
	return json.Marshal(e)
}

func encodeAuth(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// stored returns the Login for a user and a password that a tool stored. If the user is TokenUser, the
// password is a token.
func stored(user, password string) Login {
	if user == TokenUser {
		if s, ok := tokenScheme(password); ok {
			return Login{Scheme: s, Password: New(password)}
		}
	}
	return Login{User: user, Password: New(password)}
}
