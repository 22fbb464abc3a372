package cli

import (
	"slices"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/config"
)

// open makes the Dray that the configuration and the flags describe. A flag wins over the file; a
// login of a flag or a DRAY_ variable wins over the file's, which wins over docker's and podman's.
func (a *app) open() (*dray.Dray, error) {
	file, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	c := dray.Config{
		Registries: make(map[string]dray.Registry, len(file.Registries)),
		Default:    file.Default,
		Settings:   a.override(dray.Settings{}),
		Logins:     slices.Concat(file.Lookups(a.io.Env), a.files().Lookups()),
		UserAgent:  "dray/" + thisBuild().Version,
		Limits: dray.Limits{
			Blobs: a.common.concurrency, Connections: a.common.concurrency, Retries: a.common.retries,
			Stall: a.common.stall, MaxWait: a.common.maxWait,
		},
	}
	for _, r := range file.Registries {
		c.Registries[r.Name] = dray.Registry{Host: r.Host, Settings: a.override(settings(r))}
	}
	return dray.New(c)
}

func (a *app) loadConfig() (config.Config, error) {
	l := a.loader()
	for _, path := range []string{a.common.config, a.io.Env("DRAY_CONFIG")} {
		if path != "" {
			return l.Load(path)
		}
	}
	return l.LoadDefault()
}

func (a *app) loader() config.Loader { return config.Loader{Env: a.io.Env, Home: a.io.Home} }

// override lays the flags for all registries over the settings of one.
func (a *app) override(s dray.Settings) dray.Settings {
	if a.common.plainHTTP {
		s.PlainHTTP, s.Insecure, s.CAFile, s.ClientCert, s.ClientKey = true, false, "", "", ""
	}
	if a.common.insecure {
		s.Insecure = true
	}
	if a.common.caFile != "" {
		s.CAFile = a.common.caFile
	}
	return s
}

func settings(r config.Registry) dray.Settings {
	return dray.Settings{
		Kind: string(r.Kind), PlainHTTP: r.PlainHTTP, Insecure: r.Insecure,
		CAFile: r.CAFile, ClientCert: r.ClientCert, ClientKey: r.ClientKey, TokenHosts: r.TokenHosts, Mirrors: r.Mirrors,
		Connections: r.Limits.Connections, RequestsPerSecond: r.Limits.RequestsPerSecond,
		BytesPerSecond: r.Limits.BytesPerSecond, ChunkSize: r.Limits.ChunkSize,
	}
}
