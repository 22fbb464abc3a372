package cli

import (
	"path/filepath"
	"slices"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/credential"
)

// open makes the Dray that the configuration and the flags describe. A flag wins over the file; a
// login of a flag or a DRAY_ variable wins over the file's, which wins over docker's and podman's,
// which win over an identity that a cloud gives this machine or person.
func (a *app) open() (*dray.Dray, error) {
	c, _, err := a.drayConfig()
	if err != nil {
		return nil, err
	}
	return dray.New(c)
}

// drayConfig is what open makes a Dray of, and the file that it read.
func (a *app) drayConfig() (dray.Config, config.Config, error) {
	file, err := a.loadConfig()
	if err != nil {
		return dray.Config{}, file, err
	}
	c := dray.Config{
		Registries: make(map[string]dray.Registry, len(file.Registries)),
		Default:    file.Default,
		Settings:   a.override(dray.Settings{}),
		Logins:     slices.Concat(file.Lookups(a.IO.Env), a.files().Lookups(), a.clouds(file)),
		UserAgent:  "dray/" + thisBuild().Version,
		StateDir:   a.stateDir(),
		Cloud:      credential.Cloud{Env: a.IO.Env, Home: a.IO.Home},
		Limits: dray.Limits{
			Images: a.common.images, Blobs: a.common.concurrency, Connections: a.common.concurrency, Retries: a.common.retries,
			Stall: a.common.stall, MaxWait: a.common.maxWait, Bandwidth: int64(a.common.bandwidth),
		},
	}
	for _, r := range file.Registries {
		c.Registries[r.Name] = dray.Registry{Host: r.Host, Settings: a.override(settings(r))}
	}
	return c, file, nil
}

// stateDir is where uploads are recorded; "" for nowhere (XDG base directory specification 0.8).
func (a *app) stateDir() string {
	dir := a.IO.Env("DRAY_STATE_DIR")
	switch {
	case dir == "off":
		return ""
	case dir != "":
		return dir
	}
	if dir := a.IO.Env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dray")
	}
	if a.IO.Home == "" {
		return ""
	}
	return filepath.Join(a.IO.Home, ".local", "state", "dray")
}

// clouds are the logins that an identity in a cloud is good for.
func (a *app) clouds(file config.Config) credential.Chain {
	c := credential.Clouds{Cloud: credential.Cloud{Env: a.IO.Env, Home: a.IO.Home}}
	for _, r := range file.Registries {
		if r.Kind == config.ACR {
			c.ACR = append(c.ACR, r.Host)
		}
	}
	return c.Lookups()
}

func (a *app) loadConfig() (config.Config, error) {
	l := a.loader()
	for _, path := range []string{a.common.config, a.IO.Env("DRAY_CONFIG")} {
		if path != "" {
			return l.Load(path)
		}
	}
	return l.LoadDefault()
}

func (a *app) loader() config.Loader { return config.Loader{Env: a.IO.Env, Home: a.IO.Home} }

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
		Create: dray.Create(r.Create), Connections: r.Limits.Connections, RequestsPerSecond: r.Limits.RequestsPerSecond,
		BytesPerSecond: r.Limits.BytesPerSecond, ChunkSize: r.Limits.ChunkSize,
	}
}
