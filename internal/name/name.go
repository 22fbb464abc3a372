package name

import (
	"cmp"
	"regexp"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// acrSuffix is the suffix of the login servers in the public Azure cloud.
const acrSuffix = ".azurecr.io"

// acrName matches the name of an Azure container registry.
var acrName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`) })

// Reader parses names as users write them.
type Reader struct {
	Hosts map[string]string // hosts of the configured registries, by their configured names

	// Default is the registry, by name or host, that an import goes to if the request names
	// none; "" means that there is no default.
	Default string

	// Pin is called with the scheme, "http" or "https", that the user wrote before a host. Its
	// error is returned.
	Pin func(host, scheme string) error
}

// Host returns the canonical host of a registry. The name may be a configured name, or a host
// with or without "https://" or "http://" before it. The error is Invalid.
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

// Parse parses a full name such as "registry.example/team/app:v1". The first component may be the
// name of a configured registry, and "http://" or "https://" may precede a host.
func (r *Reader) Parse(s string) (ref.Name, error) {
	scheme, rest := cutScheme(s)
	if first, path, ok := strings.Cut(rest, "/"); ok && scheme == "" {
		if host, known := r.Hosts[first]; known {
			if path == "" {
				return ref.Parse(host + "/") // its error names the host
			}
			return ref.ParseIn(host, path)
		}
	}
	n, err := ref.Parse(rest)
	if err != nil {
		return ref.Name{}, err
	}
	if n.IsLayout() && scheme != "" {
		return ref.Name{}, fault.Misuse("parse name", s, "an image layout has no http:// or https:// address",
			"write oci:DIR")
	}
	return n, r.pin(n.Host, scheme)
}

// pin reports the scheme that the user wrote before host to r.Pin. It does nothing if there was
// none.
func (r *Reader) pin(host, scheme string) error {
	if scheme == "" {
		return nil
	}
	return r.Pin(host, scheme)
}

func cutScheme(s string) (scheme, rest string) {
	s = ref.CutTransport(s)
	for _, scheme := range []string{"http", "https"} {
		if rest, ok := strings.CutPrefix(s, scheme+"://"); ok {
			return scheme, rest
		}
	}
	return "", s
}

// Registry parses names such as "HOST", "HOST/" and "HOST/PREFIX/". ok is false if s is a name of
// another form.
func (r *Reader) Registry(s string) (host, prefix string, ok bool, err error) {
	scheme, rest := cutScheme(s)
	first, path, slash := strings.Cut(rest, "/")
	_, named := r.Hosts[first]
	isHost := named || ref.LooksLikeHost(first)
	isPrefix := path == "" || strings.HasSuffix(path, "/")
	hasDigest := !slash && strings.Contains(first, "@")
	if strings.HasPrefix(rest, ref.Layout) || !isHost || !isPrefix || hasDigest {
		return "", "", false, nil
	}
	if !named && scheme != "" {
		first = scheme + "://" + first
	}
	host, err = r.Host(first)
	return host, path, true, err
}

// RegistryHost returns the canonical host of a registry, which is named as in `az acr`: by a
// configured name, a login server, the name of an Azure container registry, or an ARM resource
// ID. "" means r.Default. The error is Invalid.
func (r *Reader) RegistryHost(name string) (string, error) {
	if name = cmp.Or(name, r.Default); name == "" {
		return "", fault.Misuse("find registry", "", "no registry",
			"name a registry, or set default-registry in the configuration")
	}
	return r.sourceRegistryHost(name)
}

// registryHost returns the host of a registry that is named by a configured name, a login server
// or the name of an Azure container registry.
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
		return "", fault.Misuse("find registry", name,
			"not a configured registry, a host or the name of an Azure container registry",
			"write the host, or add the registry to the configuration")
	}
	return strings.ToLower(rest) + acrSuffix, nil
}

// sourceRegistryHost is like registryHost, but also accepts an ARM resource ID, as `--registry`
// does.
func (r *Reader) sourceRegistryHost(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return r.registryHost(s)
	}
	segments := strings.Split(strings.Trim(s, "/"), "/")
	n := len(segments)
	isRegistry := n == 8 && strings.EqualFold(segments[0], "subscriptions") &&
		strings.EqualFold(segments[5], "Microsoft.ContainerRegistry") && strings.EqualFold(segments[6], "registries")
	if !isRegistry {
		// The error does not repeat the ID, because the ID contains a subscription.
		return "", fault.Misuse("read resource ID", "", "not the ID of a container registry",
			"write /subscriptions/…/resourceGroups/…/providers/Microsoft.ContainerRegistry/registries/NAME")
	}
	return r.registryHost(segments[n-1])
}
