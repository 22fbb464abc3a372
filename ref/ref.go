package ref

import (
	"cmp"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
)

// DockerHub is the host of Docker Hub in canonical names.
const DockerHub = "docker.io"

// Repo is a repository: a path at a registry, or an end on disk, such as an OCI image layout. Repos are
// comparable: two equal Repos are the same repository. [NewRepo], [Parse] and [Repo.In] make valid Repos.
//
// A layout may hold many repositories. Then the name of each image in it is a whole reference, such as
// "docker.io/library/nginx:1.27", and Path is the part before the tag. Path is empty if the names in the
// layout are tags.
type Repo struct {
	Host string // lower case, as people write it: "docker.io", "localhost:5000"; or a transport, such as Layout
	Dir  string // the directory or file on disk; "" for a registry
	Path string // "library/nginx"; on disk the repository that whole references name, or ""
}

// IsLayout reports whether r is on disk, and not at a registry.
func (r Repo) IsLayout() bool { return slices.Contains(transports, r.Host) }

// IsMade reports whether r is in an end on disk that is made as a whole when all its content has arrived:
// an archive or a directory of skopeo.
func (r Repo) IsMade() bool { return r.IsLayout() && r.Host != Layout }

// HasTags reports whether images in r can have tags. A directory of skopeo holds one image, without a name.
func (r Repo) HasTags() bool { return r.Host != Directory }

// Same reports whether r and other are the same repository. The standard input and the standard output have one
// name, and are not the same.
func (r Repo) Same(other Repo) bool { return r == other && !r.isStream() }

// isStream reports whether r is an archive that comes or goes through a pipe.
func (r Repo) isStream() bool { return r.IsMade() && r.Dir == Stream }

// In returns the repository path in the same end on disk as r; "" is the one whose names are tags.
func (r Repo) In(path string) Repo { return Repo{Host: r.Host, Dir: r.Dir, Path: path} }

// Named returns the host and the path that a whole reference names: for "docker.io/library/nginx" in a layout,
// "docker.io" and "library/nginx". host is "" if the reference has none.
func (r Repo) Named() (host, path string) {
	if !r.IsLayout() {
		return r.Host, r.Path
	}
	if first, rest, ok := strings.Cut(r.Path, "/"); ok && LooksLikeHost(first) {
		return first, rest
	}
	return "", r.Path
}

// String returns "HOST/PATH", or "oci:DIR[:PATH]" for a layout.
func (r Repo) String() string { return Name{Repo: r}.String() }

// Tagged returns the name of tag in r. If tag is empty, the Name is the repository alone.
func (r Repo) Tagged(tag string) Name { return Name{Repo: r, Tag: tag} }

// At returns the name of digest in r.
func (r Repo) At(digest string) Name { return Name{Repo: r, Digest: digest} }

// Name is a Repo and a tag or a digest in it. Both may be empty: then the Name is the repository
// alone. If both are set, the digest decides what the Name points to, and the tag is what people
// call it. Names are comparable.
type Name struct {
	Repo
	Tag    string // "v1"
	Digest string // "sha256:…"
}

// String returns the canonical form: "HOST/PATH[:TAG][@DIGEST]" or "oci:DIR[:PATH][:TAG][@DIGEST]". A path of
// one component that no tag follows ends in a colon, because it would be read as a tag otherwise. A tag in an end that
// has no tags is left out, as it is there.
func (n Name) String() string {
	s := n.Host + "/" + n.Path
	switch {
	case n.Host == Bundle:
		s = "bundle:" + n.Path
	case n.IsLayout():
		s = n.Host + n.Dir
		if n.Path != "" {
			s += ":" + n.Path
		}
	}
	if n.Tag != "" && n.HasTags() || n.IsLayout() && n.Path != "" && !strings.Contains(n.Path, "/") {
		s += ":" + n.Tag
	}
	if n.Digest != "" {
		s += "@" + n.Digest
	}
	return s
}

// Reference returns what a registry is asked for: the digest if there is one, else the tag, else
// "latest".
func (n Name) Reference() string { return cmp.Or(n.Digest, n.Tag, "latest") }

// Compare compares n and m by host, then directory, path, tag and digest. It returns -1, 0 or 1, like
// [strings.Compare].
func (n Name) Compare(m Name) int {
	return cmp.Or(strings.Compare(n.Host, m.Host), strings.Compare(n.Dir, m.Dir), strings.Compare(n.Path, m.Path),
		strings.Compare(n.Tag, m.Tag), strings.Compare(n.Digest, m.Digest))
}

// MarshalText returns [Name.String], so that names in plans and reports read like what people type.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads a name with [Parse]. The name must begin with a host, or with oci:, as the result of
// MarshalText does. So a typing error in a file does not make a target at Docker Hub.
func (n *Name) UnmarshalText(b []byte) error {
	s := string(b)
	name, err := Parse(s)
	if err != nil {
		return err
	}
	if first, _, ok := strings.Cut(s, "/"); !name.IsLayout() && (!ok || !LooksLikeHost(first)) {
		return invalid(s, "the name begins with no host", "write "+name.String()+", or another host before it")
	}
	*n = name
	return nil
}

// Parse reads a name such as "nginx", "docker.io/library/nginx:1.25", "localhost:5000/a@sha256:…" or
// "oci:dir:tag". A registry may also be written as other tools do: "docker://HOST/a" and "oci://HOST/a".
// The Name is fully qualified: "nginx" becomes docker.io/library/nginx. Its Tag and
// Digest are empty if s has none. The error is [fault.Invalid].
func Parse(s string) (Name, error) {
	s = CutTransport(s)
	if IsLayout(s) {
		return parseOnDisk(s)
	}
	if err := NoLogin(s); err != nil {
		return Name{}, err
	}
	if err := Foreign(s); err != nil {
		return Name{}, err
	}
	rest, n, err := cutReference(s, s)
	if err != nil {
		return Name{}, err
	}
	host, path := splitHost(rest)
	if n.Repo, err = NewRepo(host, path); err != nil {
		return Name{}, about(s, err)
	}
	return n, nil
}

// ParseIn reads a name inside the registry host, such as "app:v1" or "team/app@sha256:…". Unlike
// [Parse] it reads no component of s as a host: in "r.example", "docker.io/library/nginx" is a path.
// If host is Docker Hub, "library/" is added to a path of one component. The error is
// [fault.Invalid].
func ParseIn(host, s string) (Name, error) {
	if err := NoLogin(s); err != nil {
		return Name{}, err
	}
	rest, n, err := cutReference(s, s)
	if err != nil {
		return Name{}, err
	}
	if n.Repo, err = NewRepo(host, rest); err != nil {
		return Name{}, about(s, err)
	}
	return n, nil
}

// NewRepo returns the Repo of path at the registry host. It brings host to the form that [Host]
// returns. At Docker Hub it adds "library/" to a path of one component. The error is
// [fault.Invalid].
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
		return Repo{}, invalid(host+"/"+path, "repository names are lower case",
			"write the repository as "+strings.ToLower(path))
	case !isPath(path):
		return Repo{}, invalid(host+"/"+path, "not a repository name",
			"use lower-case letters, digits and, between these, '.', '_', '-' and '/'")
	case len(host)+1+len(path) > MaxPath:
		return Repo{}, invalid(host+"/"+path, "the name is longer than "+strconv.Itoa(MaxPath)+" bytes", "")
	}
	return Repo{Host: host, Path: path}, nil
}

// Host checks "HOST" or "HOST:PORT" and returns its canonical form: lower case, and "docker.io" for
// Docker Hub's other names (index.docker.io, registry-1.docker.io, registry.hub.docker.com). The
// error is [fault.Invalid].
func Host(s string) (string, error) {
	if err := NoLogin(s); err != nil {
		return "", err
	}
	if IsLayout(s + "/") {
		return "", noRegistry(s)
	}
	host, port, err := splitPort(s)
	if err != nil {
		if is := Foreign(s); is != nil {
			return "", is
		}
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

// Tag checks that s is a tag of at most [MaxTag] characters. The error is [fault.Invalid].
func Tag(s string) error {
	if len(s) > MaxTag {
		return invalid(s[:20]+"…", "the tag is longer than "+strconv.Itoa(MaxTag)+" characters", "")
	}
	if !isTag(s) {
		return invalid(strconv.Quote(s), "not a tag",
			"use letters, digits, '_', '.' and '-', and do not begin with '.' or '-'")
	}
	return nil
}

// Digest checks that s is a digest of sha256, sha384 or sha512 in lower-case hex. The error is
// [fault.Invalid].
func Digest(s string) error {
	if !isDigest(s) {
		return invalid(strconv.Quote(s), "not a digest", "write sha256: and 64 lower-case hex digits")
	}
	return nil
}

// IsLoopback reports whether host, with or without a port, is an address of this machine: localhost,
// a name below .localhost, or a loopback IP address.
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

// cutReference removes ":tag" and "@digest" from the end of s. Errors name whole.
func cutReference(s, whole string) (rest string, n Name, err error) {
	rest, dig, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		if err := Digest(dig); err != nil {
			return "", Name{}, invalid(whole, "not a digest: "+strconv.Quote(dig), "write sha256: and 64 lower-case hex digits")
		}
		n.Digest = dig
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, n.Tag = rest[:i], rest[i+1:]
		if err := Tag(n.Tag); err != nil {
			return "", Name{}, about(whole, err)
		}
	}
	return rest, n, nil
}

// parseOnDisk parses TRANSPORT:DIR[:REFERENCE][@DIGEST]. As skopeo reads it, the directory ends at the first colon
// that does not belong to a drive letter of Windows.
func parseOnDisk(whole string) (Name, error) {
	transport, s := cutDisk(whole)
	drive := ""
	if isDrive(s) {
		drive, s = s[:2], s[2:]
	}
	rest, dig := s, ""
	if i := strings.LastIndexByte(s, '@'); i >= 0 && !strings.ContainsAny(s[i:], `/\`) { // else it is part of a directory
		if rest, dig = s[:i], s[i+1:]; Digest(dig) != nil {
			return Name{}, invalid(whole, "not a digest: "+strconv.Quote(dig), "write sha256: and 64 lower-case hex digits")
		}
	}
	dir, reference, hasReference := strings.Cut(rest, ":")
	if dir == "" || strings.ContainsRune(dir, 0) {
		return Name{}, noPath(whole, transport)
	}
	given := strings.TrimSuffix(dir, "/")
	switch dir = filepath.Clean(dir); {
	case dir == Stream && fileOf(transport) == "DIR":
		return Name{}, invalid(whole, "the standard input and output hold no directory",
			"write "+Archive+Stream+" for a pipe")
	case dir == Stream && given != Stream:
		return Name{}, invalid(whole, Stream+" is a pipe, so a file cannot have this name", "rename the file")
	}
	if i := strings.LastIndexByte(dir, '@'); i >= 0 && !strings.ContainsAny(dir[i:], `/\`) {
		return Name{}, invalid(whole, "a digest follows @, so a name on disk cannot end in one with @", "rename "+dir)
	}
	n := Repo{Host: transport, Dir: drive + dir}.At(dig)
	if !hasReference {
		return n, nil
	}
	if transport == Directory {
		return Name{}, invalid(whole, "a directory of dir: holds one image, without a name", "leave out :"+reference)
	}
	if !strings.ContainsAny(reference, "/:") {
		n.Tag = reference
		return n, about(whole, Tag(n.Tag))
	}
	path, tag, ok := CutWhole(reference)
	if !ok {
		return Name{}, invalid(whole, "not a tag and not a whole reference: "+strconv.Quote(reference),
			"write "+transport+fileOf(transport)+":TAG, or "+transport+fileOf(transport)+":HOST/REPOSITORY:TAG")
	}
	n.Path, n.Tag = path, tag
	if transport == DockerArchive { // docker reads nginx as docker.io/library/nginx
		repo, err := NewRepo(splitHost(path))
		if err != nil {
			return Name{}, about(whole, err)
		}
		n.Path = repo.String()
	}
	return n, nil
}

func noPath(whole, transport string) error {
	if fileOf(transport) == "FILE" {
		return invalid(whole, "no file", "write "+transport+"FILE[:TAG|@DIGEST], or "+transport+Stream+" for a pipe")
	}
	if transport == Directory {
		return invalid(whole, "no directory", "write "+transport+"DIR")
	}
	return invalid(whole, "no directory", "write "+transport+"DIR[:TAG|@DIGEST]")
}

// CutWhole splits a whole reference, which names an image in a layout or an archive, into a repository and a tag:
// "docker.io/library/nginx:1.27", "localhost:5000/app" and "library/nginx:1.27". It may have no host. It may
// have no tag if it has a slash or ends in a colon: "app:" is the repository app, while "app" is a tag. Unlike
// [Parse], CutWhole adds nothing. ok is false if s is something else.
func CutWhole(s string) (path, tag string, ok bool) {
	path = s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		if path, tag = s[:i], s[i+1:]; tag == "" && strings.Contains(path, "/") || tag != "" && !isTag(tag) {
			return "", "", false
		}
	} else if !strings.Contains(s, "/") {
		return "", "", false
	}
	in := path
	if first, rest, slash := strings.Cut(path, "/"); slash && LooksLikeHost(first) {
		if _, _, err := splitPort(first); err != nil || first != strings.ToLower(first) {
			return "", "", false
		}
		in = rest
	}
	return path, tag, isPath(in) && len(path) <= MaxPath
}

// about returns err, an error of this package or nil, as one about the name whole.
func about(whole string, err error) error {
	if err == nil {
		return nil
	}
	return invalid(whole, causeOf(err), fault.HintOf(err))
}

// splitPort splits "host:port"; port keeps its colon. An IPv6 address must be in brackets.
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

// causeOf returns the cause of a Fault of this package without its operation and name, so that a new
// Fault can report the same cause for the whole name.
func causeOf(err error) string {
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Err != nil {
		return f.Err.Error()
	}
	return err.Error()
}
