package ref

import (
	"cmp"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
)

// DockerHub is the host of Docker Hub in canonical names.
const DockerHub = "docker.io"

// Layout is the Host of a Repo that is an OCI image layout on disk; its Path is a directory.
const Layout = "oci:"

// Repo is a repository somewhere: a registry host and a path in it, or a layout on disk.
// It is comparable: two equal Repos are the same repository.
type Repo struct {
	Host string // as people write it, lower case: "docker.io", "localhost:5000"; or Layout
	Path string // "library/nginx"; the directory of a layout
}

// IsLayout reports whether r is an OCI image layout on disk.
func (r Repo) IsLayout() bool { return r.Host == Layout }

func (r Repo) String() string {
	if r.IsLayout() {
		return Layout + r.Path
	}
	return r.Host + "/" + r.Path
}

// Tagged returns the name of tag in r. An empty tag names the repository alone.
func (r Repo) Tagged(tag string) Name { return Name{Repo: r, Tag: tag} }

// At returns the name of digest in r.
func (r Repo) At(digest string) Name { return Name{Repo: r, Digest: digest} }

// Name is a Repo and what to take from it. Tag and Digest may both be empty;
// where both are given the digest decides and the tag is what a person calls it.
type Name struct {
	Repo
	Tag    string
	Digest string
}

func (n Name) String() string {
	s := n.Repo.String()
	if n.Tag != "" {
		s += ":" + n.Tag
	}
	if n.Digest != "" {
		s += "@" + n.Digest
	}
	return s
}

// Reference is what a registry is asked for: the digest if there is one, else the tag, else "latest".
func (n Name) Reference() string { return cmp.Or(n.Digest, n.Tag, "latest") }

// Compare orders names by host, path, tag and digest.
func (n Name) Compare(m Name) int {
	return cmp.Or(strings.Compare(n.Host, m.Host), strings.Compare(n.Path, m.Path),
		strings.Compare(n.Tag, m.Tag), strings.Compare(n.Digest, m.Digest))
}

// MarshalText writes the canonical form, so plans and reports read like what people type.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText is Parse.
func (n *Name) UnmarshalText(b []byte) (err error) {
	*n, err = Parse(string(b))
	return err
}

// Parse reads "nginx", "docker.io/library/nginx:1.25", "localhost:5000/a@sha256:…",
// "oci:dir:tag". What it returns is fully qualified; tag and digest stay empty when s has none.
// The error is of Kind Invalid.
func Parse(s string) (Name, error) {
	if rest, ok := strings.CutPrefix(s, Layout); ok {
		return parseLayout(s, rest)
	}
	if _, after, ok := strings.Cut(s, "@"); ok && strings.Contains(after, "/") {
		return Name{}, invalid(after, "a name carries no credentials", "log in, or give them apart from the name")
	}
	rest, n, err := cutReference(s, s)
	if err != nil {
		return Name{}, err
	}
	host, path := splitHost(rest)
	if n.Repo, err = NewRepo(host, path); err != nil {
		return Name{}, invalid(s, causeOf(err), fault.HintOf(err))
	}
	return n, nil
}

// ParseIn reads "app:v1" or "team/app@sha256:…" as a name inside the registry host:
// no component is taken for a host and nothing is added.
func ParseIn(host, s string) (Name, error) {
	rest, n, err := cutReference(s, s)
	if err != nil {
		return Name{}, err
	}
	if n.Repo, err = NewRepo(host, rest); err != nil {
		return Name{}, invalid(s, causeOf(err), fault.HintOf(err))
	}
	return n, nil
}

// NewRepo checks host and path and brings them to canonical form.
func NewRepo(host, path string) (Repo, error) {
	host, err := Host(host)
	if err != nil {
		return Repo{}, err
	}
	if host == DockerHub && !strings.Contains(path, "/") && path != "" {
		path = "library/" + path
	}
	switch {
	case path == "":
		return Repo{}, invalid(host, "no repository", "write HOST/REPOSITORY[:TAG|@DIGEST]")
	case strings.ToLower(path) != path && isPath(strings.ToLower(path)):
		return Repo{}, invalid(host+"/"+path, "repository names are lower case", "write "+strings.ToLower(path))
	case !isPath(path):
		return Repo{}, invalid(host+"/"+path, "not a repository name", "lower-case letters, digits, '.', '_', '-' between '/'")
	case len(host)+1+len(path) > MaxPath:
		return Repo{}, invalid(host+"/"+path, "name longer than "+strconv.Itoa(MaxPath)+" bytes", "")
	}
	return Repo{host, path}, nil
}

// Host checks "host" or "host:port" and brings it to canonical form: lower case,
// Docker Hub's other names as "docker.io".
func Host(s string) (string, error) {
	host, port, err := splitPort(s)
	if err != nil {
		return "", invalid(s, err.Error(), "write HOST or HOST:PORT")
	}
	host = strings.ToLower(host)
	switch host {
	case "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		if port == "" {
			host = DockerHub
		}
	}
	return host + port, nil
}

// Tag checks a tag.
func Tag(s string) error {
	if len(s) > MaxTag {
		return invalid(s[:20]+"…", "tag longer than "+strconv.Itoa(MaxTag)+" characters", "")
	}
	if !isTag(s) {
		return invalid(strconv.Quote(s), "not a tag", "letters, digits, '_', '.', '-'; not beginning with '.' or '-'")
	}
	return nil
}

// Digest checks that s is a digest of a known algorithm in lower-case hex.
func Digest(s string) error {
	if !isDigest(s) {
		return invalid(strconv.Quote(s), "not a digest", "sha256: and 64 lower-case hex digits")
	}
	return nil
}

// LooksLikeHost reports whether a first path component is a host: it has a dot or a port, or is localhost.
func LooksLikeHost(s string) bool {
	return strings.ContainsAny(s, ".:") || strings.EqualFold(s, "localhost")
}

// IsLoopback reports whether host, with or without a port, names this machine.
func IsLoopback(host string) bool {
	name, _, err := splitPort(host)
	if err != nil {
		return false
	}
	name = strings.Trim(name, "[]")
	if strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

func splitHost(s string) (host, path string) {
	first, rest, ok := strings.Cut(s, "/")
	if ok && LooksLikeHost(first) {
		return first, rest
	}
	return DockerHub, s
}

// cutReference takes ":tag" and "@digest" off the end of s. whole is what the error names.
func cutReference(s, whole string) (rest string, n Name, err error) {
	rest, dig, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		if err := Digest(dig); err != nil {
			return "", Name{}, invalid(whole, "not a digest: "+strconv.Quote(dig), "sha256: and 64 lower-case hex digits")
		}
		n.Digest = dig
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, n.Tag = rest[:i], rest[i+1:]
		if err := Tag(n.Tag); err != nil {
			return "", Name{}, invalid(whole, causeOf(err), fault.HintOf(err))
		}
	}
	return rest, n, nil
}

func parseLayout(whole, s string) (Name, error) {
	drive := ""
	if isDrive(s) {
		drive, s = s[:2], s[2:]
	}
	dir, dig, hasDigest := strings.Cut(s, "@")
	n := Name{Digest: dig}
	if hasDigest && Digest(dig) != nil {
		return Name{}, invalid(whole, "not a digest: "+strconv.Quote(dig), "sha256: and 64 lower-case hex digits")
	}
	if i := strings.LastIndexByte(dir, ':'); i >= 0 {
		dir, n.Tag = dir[:i], dir[i+1:]
		if err := Tag(n.Tag); err != nil {
			return Name{}, invalid(whole, causeOf(err), fault.HintOf(err))
		}
	}
	if dir == "" || strings.ContainsRune(dir, 0) {
		return Name{}, invalid(whole, "no directory", "write oci:DIR[:TAG|@DIGEST]")
	}
	n.Repo = Repo{Layout, filepath.Clean(drive + dir)}
	return n, nil
}

// splitPort returns port with its colon. An IPv6 address is in brackets.
func splitPort(s string) (host, port string, err error) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i:]
		if n, err := strconv.ParseUint(port[1:], 10, 16); err != nil || n == 0 {
			return "", "", errText("not a port: " + strconv.Quote(port[1:]))
		}
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") && net.ParseIP(host[1:len(host)-1]) != nil {
		return host, port, nil
	}
	if !isDomain(host) {
		return "", "", errText("not a host: " + strconv.Quote(host))
	}
	return host, port, nil
}

type errText string

func (e errText) Error() string { return string(e) }

func invalid(name, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "parse name", Name: name, Hint: hint, Err: errText(cause)}
}

// causeOf takes the bare cause out of one of our own errors, to say it of the whole name.
func causeOf(err error) string {
	if f, ok := err.(*fault.Fault); ok && f.Err != nil {
		return f.Err.Error()
	}
	return err.Error()
}
