package settings

import (
	"fmt"
	"slices"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/config/gates"
)

// Files returns the files and directories that c names, except for those that the server creates itself.
func Files(c config.Config) []Setting {
	var all []Setting
	for _, g := range c.Gates {
		all = append(all, gateFiles(g)...)
	}
	for _, r := range c.Registries {
		all = append(all, registryFiles(r)...)
	}
	return append(all, serverFiles(c.Server)...)
}

func gateFiles(g gates.Gate) []Setting {
	var named []Setting
	add := func(key, path string) {
		if path != "" {
			named = append(named, Setting{Key: "gates." + g.Name + ".signature." + key, Value: path})
		}
	}
	for _, path := range g.Signature.Keys {
		add("key", path)
	}
	if k := g.Signature.Keyless; k != nil {
		add("keyless.roots", k.Roots)
	}
	if n := g.Signature.Notation; n != nil {
		add("notation.store", n.Store)
		add("notation.policy", n.Policy)
	}
	return named
}

func registryFiles(r config.Registry) []Setting {
	files := []string{
		"ca-file", "client-cert", "client-key", "credentials.password-file", "credentials.token-file",
	}
	var named []Setting
	registry(r, func(key string, value any) {
		if s := fmt.Sprint(value); s != "" && slices.Contains(files, key) {
			named = append(named, Setting{Key: "registries." + r.Name + "." + key, Value: s})
		}
	})
	return named
}

func serverFiles(s config.Server) []Setting {
	var named []Setting
	for _, f := range []Setting{
		{Key: "database-file", Value: s.DatabaseFile},
		{Key: "tls.cert", Value: s.TLS.Cert},
		{Key: "tls.key", Value: s.TLS.Key},
		{Key: "tls.client-ca", Value: s.TLS.ClientCA},
		{Key: "auth.htpasswd", Value: s.Auth.Htpasswd},
		{Key: "schedules", Value: s.Schedules},
	} {
		if f.Value != "" {
			f.Key = "server." + f.Key
			named = append(named, f)
		}
	}
	return named
}
