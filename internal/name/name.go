package name

import (
	"cmp"
	"regexp"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// acrSuffix is what the login servers of Azure's public cloud end in.
const acrSuffix = ".azurecr.io"

// acrName is the form of an Azure container registry's name.
var acrName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`) })

// Reader reads names as people type them.
type Reader struct {
	Hosts   map[string]string               // of the configured registries, by name
	Default string                          // the registry that an import goes to when nothing names one; "" is none
	Pin     func(host, scheme string) error // told the scheme that was typed before a host
}

// Host returns the canonical host of a registry: a configured name, or a host as
// people type it, with or without "https://". The error is Invalid.
func (r *Reader) Host(name string) (string, error) {
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

// Parse reads a full name. Its first component may be a configured registry's
// name, and "http://" or "https://" may stand before a host.
func (r *Reader) Parse(s string) (ref.Name, error) {
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
		return ref.Name{}, fault.Misuse("parse name", s, "a layout is no web address", "write oci:DIR")
	}
	return n, r.pin(n.Host, scheme)
}

// pin holds host to the scheme that was typed before it; "" leaves it open.
func (r *Reader) pin(host, scheme string) error {
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

// Registry reads "HOST", "HOST/" and "HOST/PREFIX/".
func (r *Reader) Registry(s string) (host, prefix string, ok bool, err error) {
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
func (r *Reader) RegistryHost(name string) (string, error) {
	if name = cmp.Or(name, r.Default); name == "" {
		return "", fault.Misuse("find registry", "", "no registry", "name one, or a default in the configuration")
	}
	return r.sourceRegistryHost(name)
}

// registryHost finds the registry that `az acr` means by a name: configured, a
// login server, or the name of an Azure container registry.
func (r *Reader) registryHost(name string) (string, error) {
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
		return "", fault.Misuse("find registry", name, "not a configured registry, not a host, not the name of an Azure container registry", "write the host, or name it in the configuration")
	}
	return strings.ToLower(rest) + acrSuffix, nil
}

// sourceRegistryHost is registryHost for `--registry`, which may be an ARM resource ID.
func (r *Reader) sourceRegistryHost(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return r.registryHost(s)
	}
	segments := strings.Split(strings.Trim(s, "/"), "/")
	n := len(segments)
	if n != 8 || !strings.EqualFold(segments[0], "subscriptions") || !strings.EqualFold(segments[5], "Microsoft.ContainerRegistry") || !strings.EqualFold(segments[6], "registries") {
		// The ID itself is not repeated: it names a subscription.
		return "", fault.Misuse("read resource ID", "", "not the ID of a container registry", "/subscriptions/…/resourceGroups/…/providers/Microsoft.ContainerRegistry/registries/NAME")
	}
	return r.registryHost(segments[n-1])
}
