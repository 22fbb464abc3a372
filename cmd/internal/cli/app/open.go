package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/gatekeeper"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/ref"
)

// Open makes the Dray that the configuration and the flags describe. A flag takes precedence over the file.
// Logins have this order: flags and DRAY_ variables, the configuration, the files of docker and podman,
// and last an identity that a cloud gives to this machine or person.
func (a *App) Open() (*dray.Dray, error) {
	c, _, err := a.DrayConfig()
	if err != nil {
		return nil, err
	}
	c.Requests = a.Console.Relay.Request
	c.Input = a.IO.In
	if a.yielded != (ref.Repo{}) {
		c.Output = a.IO.Out
	}
	a.warnOfProxies()
	return dray.New(c)
}

// Yield leaves the standard output to an archive, if one of the targets is named "-": what a command prints goes to
// the standard error then. Without Yield, no archive is written there, because it would mix with what is printed. The
// error is [fault.Invalid] if the standard output is a terminal, and for a second archive.
func (a *App) Yield(targets ...string) error {
	for _, s := range targets {
		n, err := ref.Parse(strings.TrimSuffix(s, "/")) // with the slash, all repositories of the archive
		if err != nil || !n.IsMade() || n.Dir != ref.Stream {
			continue
		}
		if err := a.NoTerminal("write archive", s); err != nil {
			return fault.On(fault.Target, err)
		}
		if to := n.In(""); a.yielded != (ref.Repo{}) && a.yielded != to {
			return &fault.Fault{Kind: fault.Invalid, Side: fault.Target, Op: "write archive", Name: s,
				Err:  fmt.Errorf("the standard output takes one archive, and that is %s", a.yielded),
				Hint: "name a file"}
		}
		// If the reader of a pipe ends early, writing fails and dray removes its temporary files. It would die otherwise.
		signal.Ignore(syscall.SIGPIPE)
		a.Out, a.yielded = a.Err, n.In("")
	}
	return nil
}

// NoTerminal returns an error if the standard output is a terminal, for a command that writes bytes that are no text.
func (a *App) NoTerminal(op, name string) error {
	if a.IO.Terminal.Width == 0 {
		return nil
	}
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Err: errors.New("the standard output is a terminal"),
		Hint: "connect it to a program with |, or to a file with >"}
}

// warnOfProxies says that ALL_PROXY does not count. curl takes it as the proxy of every request; other clients
// of registries, as dray, do not read it.
func (a *App) warnOfProxies() {
	for _, name := range []string{"ALL_PROXY", "all_proxy"} {
		if a.IO.Env(name) != "" && a.IO.Env("HTTPS_PROXY") == "" && a.IO.Env("https_proxy") == "" {
			a.Warnf("note: %s has no effect; set HTTPS_PROXY to reach registries through that proxy", name)
			return
		}
	}
}

// OpenNames makes a Dray that reads names as the server of c reads them. Names in the requests to a server
// have their meaning there, whatever the configuration of this machine says.
func OpenNames(ctx context.Context, c *client.Client) (*dray.Dray, error) {
	known, err := c.Registries(ctx)
	if err != nil {
		return nil, err
	}
	names := dray.Config{Registries: make(map[string]dray.Registry, len(known.Registries)), Default: known.Default}
	for _, r := range known.Registries {
		names.Registries[r.Name] = dray.Registry{Host: r.Host, Aliases: r.Aliases}
	}
	return dray.New(names)
}

// DrayConfig returns the settings from which Open makes a Dray, and the configuration file.
func (a *App) DrayConfig() (dray.Config, config.Config, error) {
	file, err := a.LoadConfig()
	if err != nil {
		return dray.Config{}, file, err
	}
	if err := a.checkCAFile(); err != nil {
		return dray.Config{}, file, err
	}
	missing := ""
	if file.Path == "" {
		missing = a.Loader().DefaultPath()
	}
	c := dray.Config{
		Registries: make(map[string]dray.Registry, len(file.Registries)),
		Default:    file.Default,
		Missing:    missing,
		Referrers:  file.Referrers,
		Platforms:  file.Platforms,
		Settings:   a.override(dray.Settings{}),
		Logins:     slices.Concat(file.Lookups(a.IO.Env), a.sourceIdentities(file), a.Files().Lookups(), a.Clouds(file)),
		UserAgent:  "dray/" + ThisBuild().Version,
		StateDir:   a.StateDir(),
		Cloud:      credential.Cloud{Env: a.IO.Env, Home: a.IO.Home},
		Dial:       a.IO.Dial,

		IncludeForeign: a.Common.IncludeForeign.Or(file.IncludeForeign),
		Via:            dray.Via(a.Common.Via),
		AcceptUnseen:   a.Common.AcceptUnseen,
		Limits: dray.Limits{
			Files: a.IO.Files, Images: a.Common.Images,
			Blobs: a.Common.Concurrency, Connections: a.Common.Concurrency, Retries: a.Common.Retries,
			Stall: a.Common.Stall, FirstByte: a.Common.FirstByte, MaxWait: a.Common.MaxWait,
			Bandwidth: int64(a.Common.Bandwidth),
		},
	}
	for _, r := range file.Registries {
		c.Registries[r.Name] = dray.Registry{Host: r.Host, Aliases: r.Aliases, Settings: a.override(settings(r))}
	}
	c.Gates = a.gatesOf(file)
	c.Gate, err = a.NamedGate(file, file.Gate, file.Path)
	return c, file, err
}

// NamedGate returns a gate of the configuration by its name; "" means none, and nil.
func (a *App) NamedGate(file config.Config, name, where string) (gate.Gate, error) {
	if name == "" {
		return nil, nil
	}
	g, ok := file.GateByName(name)
	if !ok {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: where,
			Err:  fmt.Errorf("the configuration has no gate %q", name),
			Hint: "add it below gates: in the configuration, or use the name of another gate"}
	}
	return gatekeeper.New(g, gatekeeper.Program(a.IO.Verifier))
}

// gatesOf returns what finds a gate of the configuration by its name. Each is read once.
func (a *App) gatesOf(file config.Config) func(name string) (gate.Gate, error) {
	var known sync.Map
	return func(name string) (gate.Gate, error) {
		read, _ := known.LoadOrStore(name, sync.OnceValues(func() (gate.Gate, error) {
			return a.NamedGate(file, name, file.Path)
		}))
		return read.(func() (gate.Gate, error))()
	}
}

// NamedGates returns all gates of the configuration by their names.
func (a *App) NamedGates(file config.Config) (map[string]gate.Gate, error) {
	all := map[string]gate.Gate{}
	for _, g := range file.Gates {
		k, err := gatekeeper.New(g, gatekeeper.Program(a.IO.Verifier))
		if err != nil {
			return nil, err
		}
		all[g.Name] = k
	}
	return all, nil
}

// StateDir returns the directory where uploads are recorded; "" means that they are not (XDG base directory
// specification 0.8).
func (a *App) StateDir() string {
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

// Clouds returns the lookups that make logins from an identity in a cloud.
func (a *App) Clouds(file config.Config) credential.Chain {
	c := credential.Clouds{Cloud: credential.Cloud{Env: a.IO.Env, Home: a.IO.Home}}
	for _, r := range file.Registries {
		if r.Kind == config.ACR {
			c.ACR = append(c.ACR, r.Host)
		}
	}
	return c.Lookups()
}

// sourceIdentities returns the lookups of the registries that are read as an identity of their own.
func (a *App) sourceIdentities(file config.Config) (all credential.Chain) {
	for _, r := range file.Registries {
		if r.Azure.Source.Client != "" {
			all = append(all, r.Azure.Source.Lookup(r.Host, a.IO.Env, a.IO.Home))
		}
	}
	return all
}

// LoadConfig reads the configuration file that the flag or the environment names, else the default one.
func (a *App) LoadConfig() (config.Config, error) {
	l := a.Loader()
	for _, path := range []string{a.Common.Config, a.IO.Env("DRAY_CONFIG")} {
		if path != "" {
			return l.Load(path)
		}
	}
	return l.LoadDefault()
}

// Loader returns a loader of configuration files with the variables and home directory of this run.
func (a *App) Loader() config.Loader { return config.Loader{Env: a.IO.Env, Home: a.IO.Home} }

// checkCAFile returns an error that names the flag --ca-file if its file holds no certificate.
func (a *App) checkCAFile() error {
	if a.Common.CaFile == "" {
		return nil
	}
	pem, err := os.ReadFile(a.Common.CaFile)
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = errors.New("the file contains no certificate")
	}
	if err != nil {
		return &fault.Fault{
			Kind: fault.Invalid,
			Op:   "read",
			Name: "--ca-file " + a.Common.CaFile,
			Hint: "name a file that contains certificates in PEM form",
			Err:  err,
		}
	}
	return nil
}

// override returns the settings of a registry with those of the flags in their place.
func (a *App) override(s dray.Settings) dray.Settings {
	if a.Common.PlainHTTP {
		s.PlainHTTP, s.Insecure, s.CAFile, s.ClientCert, s.ClientKey = true, false, "", "", ""
	}
	if a.Common.Insecure {
		s.Insecure = true
	}
	if a.Common.CaFile != "" {
		s.CAFile = a.Common.CaFile
	}
	return s
}

func settings(r config.Registry) dray.Settings {
	return dray.Settings{
		Kind: string(r.Kind), PlainHTTP: r.PlainHTTP, Insecure: r.Insecure,
		CAFile: r.CAFile, ClientCert: r.ClientCert, ClientKey: r.ClientKey, TokenHosts: r.TokenHosts, Mirrors: r.Mirrors,
		Create: dray.Create(r.Create), Connections: r.Limits.Connections, RequestsPerSecond: r.Limits.RequestsPerSecond,
		BytesPerSecond: r.Limits.BytesPerSecond, ChunkSize: r.Limits.ChunkSize, FirstByte: r.Limits.FirstByte,
		Via: dray.Via(r.Azure.Via), ResourceID: r.Azure.ResourceID, ResourceManager: r.Azure.ResourceManager,
	}
}
