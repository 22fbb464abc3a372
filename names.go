package dray

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// acrSuffix is what the login servers of Azure's public cloud end in.
const acrSuffix = ".azurecr.io"

// acrName is the form of an Azure container registry's name.
var acrName = regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`)

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
	if !acrName.MatchString(rest) {
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

// importNames settles what an ImportRequest names: the source, the targets in
// order, and what a person should know about how they were read.
func (d *Dray) importNames(req ImportRequest) (source ref.Name, targets []ref.Name, notes []string, err error) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if source, err = d.importSource(req, note); err != nil {
		return source, nil, nil, err
	}
	host := ""
	if name := cmp.Or(req.Target, d.config.Default); name != "" {
		if host, err = d.registryHost(name); err != nil {
			return source, nil, nil, err
		}
	}
	for _, image := range req.Images {
		to, err := d.importTarget(host, image, note)
		if err != nil {
			return source, nil, nil, err
		}
		if to.Tag == "" {
			to.Tag = cmp.Or(source.Tag, "latest")
			if source.Tag == "" {
				note("%s has no tag, nor has the source: it becomes %s", image, to)
			}
		}
		targets = append(targets, to)
	}
	for _, repository := range req.Repositories {
		to, err := d.importTarget(host, repository, note)
		if err != nil {
			return source, nil, nil, err
		}
		if to.Tag != "" {
			return source, nil, nil, invalid("parse name", repository, "a repository for a manifest-only copy has no tag", "use --image for a name with a tag")
		}
		targets = append(targets, to)
	}
	if len(targets) > 0 {
		return source, targets, notes, nil
	}
	if host == "" {
		return source, nil, nil, invalid("import", source.String(), "no target", "name the registry with --name, or a full name with --image")
	}
	repo, err := ref.NewRepo(host, source.Path)
	if err != nil {
		return source, nil, nil, err
	}
	if source.Tag == "" {
		note("the source is named by digest: it arrives as %s without a tag; --image gives it one", repo.At(source.Digest))
	}
	return source, []ref.Name{repo.Tagged(source.Tag)}, notes, nil
}

func (d *Dray) importSource(req ImportRequest, note func(string, ...any)) (ref.Name, error) {
	if req.Source == "" {
		return ref.Name{}, invalid("import", "", "no source", "name an image with --source")
	}
	if req.SourceRegistry == "" {
		n, err := d.parse(req.Source)
		return withLatest(n), err
	}
	host, err := d.sourceRegistryHost(req.SourceRegistry)
	if err != nil {
		return ref.Name{}, err
	}
	n, err := ref.ParseIn(host, d.trimHost(host, req.Source, "--source", "--registry", note))
	return withLatest(n), err
}

// withLatest gives a name at a registry the tag that everyone means by none.
func withLatest(n ref.Name) ref.Name {
	if n.Tag == "" && n.Digest == "" && !n.IsLayout() {
		n.Tag = "latest"
	}
	return n
}

func (d *Dray) importTarget(host, s string, note func(string, ...any)) (ref.Name, error) {
	if s == "" {
		return ref.Name{}, invalid("import", "", "an empty target name", "")
	}
	to, err := ref.Name{}, error(nil)
	switch first, _, ok := strings.Cut(s, "/"); {
	case host != "":
		to, err = ref.ParseIn(host, d.trimHost(host, s, "--image", "--name", note))
	case !strings.HasPrefix(s, ref.Layout) && (!ok || !ref.LooksLikeHost(first) && d.config.Registries[first].Host == "" && !strings.HasSuffix(first, ":")):
		return to, invalid("parse name", s, "no registry", "name the registry with --name, or write HOST/"+s)
	default:
		to, err = d.parse(s)
	}
	if err == nil && to.Digest != "" {
		err = digestTarget(s)
	}
	return to, err
}

// trimHost takes a host off s that another flag gave already.
func (d *Dray) trimHost(host, s, in, by string, note func(string, ...any)) string {
	if n := len(host) + 1; len(s) > n && strings.EqualFold(s[:n], host+"/") {
		note("%q in %s is left out: %s names the registry already", host, in, by)
		return s[n:]
	}
	return s
}

func digestTarget(s string) error {
	return invalid("parse name", s, "a target is a repository and a tag, not a digest", "the content's digest stays what it is at the source")
}

func invalid(op, name, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Hint: hint, Err: fmt.Errorf("%s", cause)}
}
