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

// Host returns the canonical host of a registry: a configured name, or a host as
// people type it, with or without "https://". The error is Invalid.
func (d *Dray) Host(name string) (string, error) {
	scheme, rest := cutScheme(strings.TrimSuffix(name, "/"))
	if r, ok := d.config.Registries[rest]; ok {
		return r.Host, nil
	}
	host, err := ref.Host(rest)
	if err != nil {
		return "", err
	}
	return host, d.pin(host, scheme)
}

// Name returns the canonical form of a full name as people type it. Its first
// component may be a configured registry's name. The error is Invalid.
func (d *Dray) Name(s string) (ref.Name, error) { return d.parse(s) }

// parse reads a full name. Its first component may be a configured registry's
// name, and "http://" or "https://" may stand before a host.
func (d *Dray) parse(s string) (ref.Name, error) {
	scheme, rest := cutScheme(s)
	if first, path, ok := strings.Cut(rest, "/"); ok && scheme == "" {
		if r, known := d.config.Registries[first]; known {
			return ref.ParseIn(r.Host, path)
		}
	}
	n, err := ref.Parse(rest)
	if err != nil {
		return ref.Name{}, err
	}
	if n.IsLayout() && scheme != "" {
		return ref.Name{}, invalid("parse name", s, "a layout is no web address", "write oci:DIR")
	}
	return n, d.pin(n.Host, scheme)
}

// pin holds host to the scheme that was typed before it; "" leaves it open.
func (d *Dray) pin(host, scheme string) error {
	if scheme == "" {
		return nil
	}
	return d.remote.Pin(host, scheme)
}

func cutScheme(s string) (scheme, rest string) {
	for _, scheme := range []string{"http", "https"} {
		if rest, ok := strings.CutPrefix(s, scheme+"://"); ok {
			return scheme, rest
		}
	}
	return "", s
}

// RegistryHost returns the canonical host of what `az acr` means by a registry's
// name: a configured name, a login server, the name of an Azure container
// registry, or an ARM resource ID. "" is Config.Default. The error is Invalid.
func (d *Dray) RegistryHost(name string) (string, error) {
	if name = cmp.Or(name, d.config.Default); name == "" {
		return "", invalid("find registry", "", "no registry", "name one, or a default in the configuration")
	}
	return d.sourceRegistryHost(name)
}

// registryHost finds the registry that `az acr` means by a name: configured, a
// login server, or the name of an Azure container registry.
func (d *Dray) registryHost(name string) (string, error) {
	scheme, rest := cutScheme(name)
	short := rest
	if n := len(rest) - len(acrSuffix); n > 0 && strings.EqualFold(rest[n:], acrSuffix) {
		short = rest[:n]
	}
	for _, known := range []string{rest, short, strings.ToLower(short)} {
		if r, ok := d.config.Registries[known]; ok {
			return r.Host, nil
		}
	}
	if ref.LooksLikeHost(rest) {
		host, err := ref.Host(rest)
		if err != nil {
			return "", err
		}
		return host, d.pin(host, scheme)
	}
	if !acrName().MatchString(rest) {
		return "", invalid("find registry", name, "not a configured registry, not a host, not the name of an Azure container registry", "write the host, or name it in the configuration")
	}
	return strings.ToLower(rest) + acrSuffix, nil
}

// sourceRegistryHost is registryHost for `--registry`, which may be an ARM resource ID.
func (d *Dray) sourceRegistryHost(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return d.registryHost(s)
	}
	segments := strings.Split(strings.Trim(s, "/"), "/")
	n := len(segments)
	if n != 8 || !strings.EqualFold(segments[0], "subscriptions") || !strings.EqualFold(segments[5], "Microsoft.ContainerRegistry") || !strings.EqualFold(segments[6], "registries") {
		// The ID itself is not repeated: it names a subscription.
		return "", invalid("read resource ID", "", "not the ID of a container registry", "/subscriptions/…/resourceGroups/…/providers/Microsoft.ContainerRegistry/registries/NAME")
	}
	return d.registryHost(segments[n-1])
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
func (d *Dray) importNames(req ImportRequest, how reading) (named, error) {
	n := named{reading: how}
	if err := req.Map.Check(); err != nil {
		return n, err
	}
	if err := d.importSource(req, &n); err != nil {
		return n, err
	}
	host := ""
	if name := cmp.Or(req.Target, d.config.Default); name != "" {
		var err error
		if host, err = d.registryHost(name); err != nil {
			return n, err
		}
	}
	for _, image := range req.Images {
		to, err := d.importTarget(host, image, &n)
		if err != nil {
			return n, err
		}
		if to.Tag != "" && len(n.tags) > 0 {
			return n, invalid("parse name", image, "several tags go to a repository: this names one image", "leave the tag off; --map renames tags")
		}
		n.targets = append(n.targets, n.tagged(to, image, req.Map)...)
	}
	for _, repository := range req.Repositories {
		to, err := d.importTarget(host, repository, &n)
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
	return n, d.sameName(host, req.Map, &n)
}

// sameName makes the source's own name the target.
func (d *Dray) sameName(host string, m plan.TagMap, n *named) error {
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

func (d *Dray) importSource(req ImportRequest, n *named) error {
	if req.Source == "" {
		return invalid("import", "", "no source", "name an image with --source")
	}
	var err error
	if req.SourceRegistry == "" {
		n.source, err = d.parse(req.Source)
	} else {
		var host string
		if host, err = d.sourceRegistryHost(req.SourceRegistry); err != nil {
			return err
		}
		n.source, err = ref.ParseIn(host, d.trimHost(host, req.Source, "--source", "--registry", n))
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

// withLatest gives a name at a registry the tag that everyone means by none.
func withLatest(n ref.Name) ref.Name {
	if n.Tag == "" && n.Digest == "" && !n.IsLayout() {
		n.Tag = "latest"
	}
	return n
}

func (d *Dray) importTarget(host, s string, n *named) (ref.Name, error) {
	if s == "" {
		return ref.Name{}, invalid("import", "", "an empty target name", "")
	}
	to, err := ref.Name{}, error(nil)
	switch full := d.isFull(s); {
	case host != "" && !(full && n.reading == asName):
		to, err = ref.ParseIn(host, d.trimHost(host, s, "--image", "--name", n))
	case !full || n.reading == asPath:
		return to, invalid("parse name", s, "no registry", "name the registry with --name, or write HOST/"+s)
	default:
		to, err = d.parse(s)
	}
	if err == nil && to.Digest != "" {
		err = digestTarget(s)
	}
	return to, err
}

// isFull reports whether s begins with a registry or names a layout.
func (d *Dray) isFull(s string) bool {
	first, _, ok := strings.Cut(s, "/")
	return strings.HasPrefix(s, ref.Layout) || ok && (ref.LooksLikeHost(first) || d.config.Registries[first].Host != "")
}

// trimHost takes a host off s that another flag gave already.
func (d *Dray) trimHost(host, s, in, by string, n *named) string {
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
