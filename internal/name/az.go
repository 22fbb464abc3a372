package name

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// acrSuffix is the suffix of the login servers in the public Azure cloud.
const acrSuffix = ".azurecr.io"

// acrName matches the name of an Azure container registry.
var acrName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`) })

// RegistryHost returns the canonical host of a registry, which is named as in `az acr`: by a
// configured name, a login server, the name of an Azure container registry, or an ARM resource
// ID. "" means r.Default. The error is Invalid.
//
// A resource ID means the registry in Azure, and never a configured one that only has the same name. The name
// of an Azure registry that is not configured gets a note. If it resembles a configured name, or is one in
// another case, it is an error, because it may be a typing error.
func (r *Reader) RegistryHost(name string, side fault.Side) (string, error) {
	if name = cmp.Or(name, r.Default); name == "" {
		return "", fault.Misuse("find registry", "", "no registry",
			"name a registry, or set default-registry in the configuration")
	}
	if err := ref.NoLogin(name); err != nil {
		return "", fault.On(side, err)
	}
	read := r.azRegistry
	if strings.HasPrefix(name, "/") {
		read = r.resource
	}
	host, err := read(name)
	return host, fault.On(side, err)
}

// resource returns the login server of the Azure registry with an ARM resource ID.
func (r *Reader) resource(id string) (string, error) {
	segments := strings.Split(strings.Trim(id, "/"), "/")
	n := len(segments)
	isRegistry := n == 8 && strings.EqualFold(segments[0], "subscriptions") &&
		strings.EqualFold(segments[5], "Microsoft.ContainerRegistry") && strings.EqualFold(segments[6], "registries")
	if !isRegistry || !isWord(segments[n-1]) {
		// The error does not repeat the ID, because the ID contains a subscription.
		return "", fault.Misuse("read resource ID", "", "not the ID of a container registry",
			"write /subscriptions/…/resourceGroups/…/providers/Microsoft.ContainerRegistry/registries/NAME")
	}
	host, _ := r.loginServer(segments[n-1])
	return host, nil
}

// isWord reports whether s consists of letters and digits. Azure's own names have 5 or more, but an alias may
// stand for the login server of a shorter one.
func isWord(s string) bool {
	_, err := ref.Host(s)
	return err == nil && !strings.ContainsAny(s, ".:-")
}

// loginServer returns the host of the Azure registry that is called name, and whether it is configured. An
// alias may stand for it. It may be in another Azure cloud, or have the hash of a domain name label, if one
// configured host tells so.
func (r *Reader) loginServer(name string) (host string, known bool) {
	name = strings.ToLower(name)
	host = name + acrSuffix
	if alias, known := r.known(host); known {
		return alias, true
	}
	hosts := slices.Compact(slices.Sorted(maps.Values(r.Hosts)))
	if slices.Contains(hosts, host) {
		return host, true
	}
	hosts = slices.DeleteFunc(hosts, func(h string) bool {
		label, cloud, _ := strings.Cut(h, ".")
		called, _, _ := strings.Cut(label, "-")
		return called != name || !strings.HasPrefix(cloud, "azurecr.")
	})
	if len(hosts) == 1 {
		return hosts[0], true
	}
	return host, false
}

func (r *Reader) azRegistry(name string) (string, error) {
	scheme, rest := cutScheme(name)
	if host, known := r.known(rest); known {
		return host, r.pin(host, scheme)
	}
	if err := r.foreign(rest); err != nil {
		return "", err
	}
	if ref.LooksLikeHost(rest) {
		host, err := ref.Host(rest)
		if err != nil {
			return "", err
		}
		return host, r.pin(host, scheme)
	}
	if !acrName().MatchString(rest) || scheme != "" {
		hint := "write the host, or add the registry to the configuration"
		if near := r.similar(rest, ""); len(near) > 0 {
			hint = "write " + strings.Join(near, " or ") + ", or the host of another registry"
		}
		if r.Missing != "" {
			hint += "; " + r.missing()
		}
		return "", fault.Misuse("find registry", name,
			"not a configured registry, a host or the name of an Azure container registry", hint)
	}
	return r.azure(rest)
}

// azure returns the login server of the Azure registry that is called name. Azure ignores the case of name.
func (r *Reader) azure(name string) (string, error) {
	host, configured := r.loginServer(name)
	near := r.near(name)
	for _, other := range r.otherCase(name) {
		configured = configured && r.Hosts[other] == host
	}
	switch {
	case configured:
		return host, nil
	case len(near) > 0:
		return "", fault.Misuse("find registry", name,
			"it is not configured, and "+resembles(name, near[0]),
			"write "+strings.Join(near, " or ")+", or "+host+" for the registry in Azure")
	}
	why := "no registry of this name is configured"
	if r.Missing != "" {
		why = r.missing()
	}
	r.note(host, name+" is read as "+host+": "+why)
	return host, nil
}
