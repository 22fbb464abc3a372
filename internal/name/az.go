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
// The name of an Azure registry that is not configured gets a note. If it resembles a configured name, it
// is an error, because it may be a typing error. Like az, RegistryHost ignores the case of names.
func (r *Reader) RegistryHost(name string, side fault.Side) (string, error) {
	if name = cmp.Or(name, r.Default); name == "" {
		return "", fault.Misuse("find registry", "", "no registry",
			"name a registry, or set default-registry in the configuration")
	}
	name, err := azName(name)
	if err == nil {
		err = ref.NoLogin(name)
	}
	if err != nil {
		return "", fault.On(side, err)
	}
	host, err := r.azRegistry(name)
	return host, fault.On(side, err)
}

// azName returns the name in an ARM resource ID, and any other name unchanged.
func azName(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return s, nil
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
	return segments[n-1], nil
}

func (r *Reader) azRegistry(name string) (string, error) {
	scheme, rest := cutScheme(name)
	for _, typed := range []string{rest, strings.ToLower(rest)} {
		if host, known := r.known(typed); known {
			return host, r.pin(host, scheme)
		}
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

// azure returns the login server of the Azure registry that is called name.
func (r *Reader) azure(name string) (string, error) {
	host := strings.ToLower(name) + acrSuffix
	if alias, known := r.known(host); known {
		return alias, nil
	}
	if slices.Contains(slices.Collect(maps.Values(r.Hosts)), host) {
		return host, nil
	}
	if near := mistyped(strings.ToLower(name), r.names()); len(near) > 0 {
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
