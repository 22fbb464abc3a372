package dray

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// acrSuffix is what the login servers of Azure's public cloud end in.
const acrSuffix = ".azurecr.io"

// acrName is the form of an Azure container registry's name.
var acrName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`) })

// reader reads names as people type them.
type reader struct {
	Hosts   map[string]string               // of the configured registries, by name
	Default string                          // the registry that an import goes to when nothing names one; "" is none
	Pin     func(host, scheme string) error // told the scheme that was typed before a host
}

// Request is what an import names, in the words of `az acr import`.
type Request struct {
	Source         string
	SourceRegistry string // "" where Source is a full name
	Target         string // a registry; "" takes the default
	Images         []string
	Repositories   []string
	Tags           []string
	Map            plan.TagMap
}

// Host returns the canonical host of a registry: a configured name, or a host as
// people type it, with or without "https://". The error is Invalid.
func (r *reader) Host(name string) (string, error) {
	scheme, rest := cutScheme(strings.TrimSuffix(name, "/"))
	if host, ok := r.Hosts[rest]; ok {
		return host, nil
	}
	host, err := ref.Host(rest)
	if err != nil {
		return "", err
	}
	return host, r.pin(host, scheme)
}

// parse reads a full name. Its first component may be a configured registry's
// name, and "http://" or "https://" may stand before a host.
func (r *reader) parse(s string) (ref.Name, error) {
	scheme, rest := cutScheme(s)
	if first, path, ok := strings.Cut(rest, "/"); ok && scheme == "" {
		if host, known := r.Hosts[first]; known {
			return ref.ParseIn(host, path)
		}
	}
	n, err := ref.Parse(rest)
	if err != nil {
		return ref.Name{}, err
	}
	if n.IsLayout() && scheme != "" {
		return ref.Name{}, invalid("parse name", s, "a layout is no web address", "write oci:DIR")
	}
	return n, r.pin(n.Host, scheme)
}

// pin holds host to the scheme that was typed before it; "" leaves it open.
func (r *reader) pin(host, scheme string) error {
	if scheme == "" {
		return nil
	}
	return r.Pin(host, scheme)
}

func cutScheme(s string) (scheme, rest string) {
	for _, scheme := range []string{"http", "https"} {
		if rest, ok := strings.CutPrefix(s, scheme+"://"); ok {
			return scheme, rest
		}
	}
	return "", s
}

// registryName reads "HOST", "HOST/" and "HOST/PREFIX/".
func (r *reader) registryName(s string) (host, prefix string, ok bool, err error) {
	scheme, rest := cutScheme(s)
	first, path, slash := strings.Cut(rest, "/")
	_, named := r.Hosts[first]
	whole := !slash || path == ""
	if strings.HasPrefix(rest, ref.Layout) || !named && !ref.LooksLikeHost(first) || !whole && !strings.HasSuffix(path, "/") || whole && !slash && strings.Contains(first, "@") {
		return "", "", false, nil
	}
	if !named && scheme != "" {
		first = scheme + "://" + first
	}
	host, err = r.Host(first)
	return host, path, true, err
}

// RegistryHost returns the canonical host of what `az acr` means by a registry's
// name: a configured name, a login server, the name of an Azure container
// registry, or an ARM resource ID. "" is Config.Default. The error is Invalid.
func (r *reader) RegistryHost(name string) (string, error) {
	if name = cmp.Or(name, r.Default); name == "" {
		return "", invalid("find registry", "", "no registry", "name one, or a default in the configuration")
	}
	return r.sourceRegistryHost(name)
}

// registryHost finds the registry that `az acr` means by a name: configured, a
// login server, or the name of an Azure container registry.
func (r *reader) registryHost(name string) (string, error) {
	scheme, rest := cutScheme(name)
	short := rest
	if n := len(rest) - len(acrSuffix); n > 0 && strings.EqualFold(rest[n:], acrSuffix) {
		short = rest[:n]
	}
	for _, known := range []string{rest, short, strings.ToLower(short)} {
		if host, ok := r.Hosts[known]; ok {
			return host, nil
		}
	}
	if ref.LooksLikeHost(rest) {
		host, err := ref.Host(rest)
		if err != nil {
			return "", err
		}
		return host, r.pin(host, scheme)
	}
	if !acrName().MatchString(rest) {
		return "", invalid("find registry", name, "not a configured registry, not a host, not the name of an Azure container registry", "write the host, or name it in the configuration")
	}
	return strings.ToLower(rest) + acrSuffix, nil
}

// sourceRegistryHost is registryHost for `--registry`, which may be an ARM resource ID.
func (r *reader) sourceRegistryHost(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return r.registryHost(s)
	}
	segments := strings.Split(strings.Trim(s, "/"), "/")
	n := len(segments)
	if n != 8 || !strings.EqualFold(segments[0], "subscriptions") || !strings.EqualFold(segments[5], "Microsoft.ContainerRegistry") || !strings.EqualFold(segments[6], "registries") {
		// The ID itself is not repeated: it names a subscription.
		return "", invalid("read resource ID", "", "not the ID of a container registry", "/subscriptions/…/resourceGroups/…/providers/Microsoft.ContainerRegistry/registries/NAME")
	}
	return r.registryHost(segments[n-1])
}

// named is what an ImportRequest names.
type named struct {
	source  ref.Name
	tags    []string   // of source's repository, where several are asked for
	targets []ref.Name // in order; repositories where several tags are asked for
	notes   []string   // how the request was read, where a person should know
	reading reading
}

// reading says how targets are read.
type reading int

const (
	asAz   reading = iota // where a registry is named, a path in it; no tag anywhere makes "latest"
	asPath                // of a list: a path in the registry; a source by digest makes no tag
	asName                // the same, but what begins with a registry is a full name
)

func (n *named) note(format string, args ...any) {
	n.notes = append(n.notes, fmt.Sprintf(format, args...))
}

// importNames settles what an ImportRequest names. Nothing was asked of a registry before it is clear.
func (r *reader) importNames(req Request, how reading) (named, error) {
	n := named{reading: how}
	if err := req.Map.Check(); err != nil {
		return n, err
	}
	if err := r.importSource(req, &n); err != nil {
		return n, err
	}
	host := ""
	if name := cmp.Or(req.Target, r.Default); name != "" {
		var err error
		if host, err = r.registryHost(name); err != nil {
			return n, err
		}
	}
	for _, image := range req.Images {
		to, err := r.importTarget(host, image, &n)
		if err != nil {
			return n, err
		}
		if to.Tag != "" && len(n.tags) > 0 {
			return n, invalid("parse name", image, "several tags go to a repository: this names one image", "leave the tag off; --map renames tags")
		}
		n.targets = append(n.targets, n.tagged(to, image, req.Map)...)
	}
	for _, repository := range req.Repositories {
		to, err := r.importTarget(host, repository, &n)
		if err != nil {
			return n, err
		}
		if to.Tag != "" {
			return n, invalid("parse name", repository, "a repository for a manifest-only copy has no tag", "use --image for a name with a tag")
		}
		if len(n.tags) > 0 {
			return n, invalid("parse name", repository, "a manifest-only copy takes one image", "name repositories with --image")
		}
		n.targets = append(n.targets, to)
	}
	if len(n.targets) > 0 {
		return n, nil
	}
	return n, r.sameName(host, req.Map, &n)
}

// copyNames settles what a copy names.
func (r *reader) copyNames(from string, to []string) (source ref.Name, targets []ref.Name, err error) {
	if source, err = r.parse(from); err != nil {
		return source, nil, err
	}
	if len(to) == 0 {
		return source, nil, invalid("copy", source.String(), "no target", "name at least one")
	}
	for _, s := range to {
		n, err := r.parse(s)
		if err != nil {
			return source, nil, err
		}
		if n.Digest != "" {
			return source, nil, digestTarget(s)
		}
		targets = append(targets, n)
	}
	return source, targets, nil
}

// sameName makes the source's own name the target.
func (r *reader) sameName(host string, m plan.TagMap, n *named) error {
	if host == "" {
		return invalid("import", n.source.String(), "no target", "name the registry with --name, or a full name with --image")
	}
	repo, err := ref.NewRepo(host, n.source.Path)
	if err != nil {
		return err
	}
	if n.source.Tag == "" && len(n.tags) == 0 {
		n.note("the source is named by digest: it arrives as %s without a tag; --image gives it one", repo.At(n.source.Digest))
	}
	n.targets = []ref.Name{repo.Tagged(n.source.Tag)}
	if n.source.Tag != "" {
		n.targets = spread(n.source, []ref.Name{repo.Tagged("")}, m)
	}
	return nil
}

// tagged gives a target without a tag the source's, or what the map makes of it, or "latest".
func (n *named) tagged(to ref.Name, image string, m plan.TagMap) []ref.Name {
	switch {
	case to.Tag != "" || len(n.tags) > 0:
		return []ref.Name{to}
	case n.source.Tag != "":
		return spread(n.source, []ref.Name{to}, m)
	case n.reading != asAz:
		n.note("%s is named by digest: it arrives as %s without a tag", n.source, to.At(n.source.Digest))
		return []ref.Name{to}
	}
	to.Tag = "latest"
	n.note("%s has no tag, nor has the source: it becomes %s", image, to)
	return []ref.Name{to}
}

func (r *reader) importSource(req Request, n *named) error {
	if req.Source == "" {
		return invalid("import", "", "no source", "name an image with --source")
	}
	var err error
	if req.SourceRegistry == "" {
		n.source, err = r.parse(req.Source)
	} else {
		var host string
		if host, err = r.sourceRegistryHost(req.SourceRegistry); err != nil {
			return err
		}
		n.source, err = ref.ParseIn(host, r.trimHost(host, req.Source, "--source", "--registry", n))
	}
	if err != nil {
		return err
	}
	bare := n.source.Tag == "" && n.source.Digest == ""
	switch {
	case len(req.Tags) > 0 && !bare:
		return invalid("import", n.source.String(), "tags are listed apart from the source: this names one image", "leave its tag off")
	case len(req.Tags) > 0:
		n.tags = req.Tags
	case bare && len(req.Map.Pairs) > 0:
		n.tags = req.Map.Keys()
	default:
		n.source = withLatest(n.source)
	}
	for _, tag := range n.tags {
		if err := ref.Tag(tag); err != nil {
			return err
		}
	}
	return nil
}

// entry reads one line of a list.
func (r *reader) entry(e BatchEntry, target string) (named, error) {
	how := asName
	if e.Paths {
		how = asPath
	}
	return r.importNames(Request{Source: e.Source, Target: target, Images: e.Targets}, how)
}

// spread gives a target without a tag the tags that the source's becomes.
func spread(source ref.Name, targets []ref.Name, m plan.TagMap) []ref.Name {
	var out []ref.Name
	for _, to := range targets {
		if to.Tag != "" || source.Tag == "" {
			out = append(out, to)
			continue
		}
		for _, tag := range m.Targets(source.Tag) {
			out = append(out, to.Repo.Tagged(tag))
		}
	}
	return out
}

// withLatest gives a name at a registry the tag that everyone means by none.
func withLatest(n ref.Name) ref.Name {
	if n.Tag == "" && n.Digest == "" && !n.IsLayout() {
		n.Tag = "latest"
	}
	return n
}

func (r *reader) importTarget(host, s string, n *named) (ref.Name, error) {
	if s == "" {
		return ref.Name{}, invalid("import", "", "an empty target name", "")
	}
	to, err := ref.Name{}, error(nil)
	switch full := r.isFull(s); {
	case host != "" && !(full && n.reading == asName):
		to, err = ref.ParseIn(host, r.trimHost(host, s, "--image", "--name", n))
	case !full || n.reading == asPath:
		return to, invalid("parse name", s, "no registry", "name the registry with --name, or write HOST/"+s)
	default:
		to, err = r.parse(s)
	}
	if err == nil && to.Digest != "" {
		err = digestTarget(s)
	}
	return to, err
}

// isFull reports whether s begins with a registry or names a layout.
func (r *reader) isFull(s string) bool {
	first, _, ok := strings.Cut(s, "/")
	return strings.HasPrefix(s, ref.Layout) || ok && (ref.LooksLikeHost(first) || r.Hosts[first] != "")
}

// trimHost takes a host off s that another flag gave already.
func (r *reader) trimHost(host, s, in, by string, n *named) string {
	if k := len(host) + 1; len(s) > k && strings.EqualFold(s[:k], host+"/") {
		n.note("%q in %s is left out: %s names the registry already", host, in, by)
		return s[k:]
	}
	return s
}

func digestTarget(s string) error {
	return invalid("parse name", s, "a target is a repository and a tag, not a digest", "the content's digest stays what it is at the source")
}

func invalid(op, name, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Hint: hint, Err: fmt.Errorf("%s", cause)}
}
