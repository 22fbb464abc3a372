package serving

import (
	"cmp"
	"slices"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/config/storing"
	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/internal/registry"
)

// configOf returns s as a server.Config. A flag takes precedence over the file.
func configOf(s app.Setup) (server.Config, error) {
	file := s.File
	c := server.Config{
		Listen:    cmp.Or(s.Listen, file.Listen),
		PublicURL: cmp.Or(s.PublicURL, file.PublicURL),
		Domain:    file.Domain,
		Ops:       s.Ops,
		TLS: server.TLS{
			Cert:     cmp.Or(s.Cert, file.TLS.Cert),
			Key:      cmp.Or(s.Key, file.TLS.Key),
			ClientCA: cmp.Or(s.ClientCA, file.TLS.ClientCA),
		},
		Htpasswd: cmp.Or(s.Htpasswd, file.Auth.Htpasswd),
		Roles:    map[string]access.Role{},
		Egress:   slices.Concat(file.Egress.Allow, s.Egress),
		PerPrincipal: server.PerPrincipal{
			QueuedJobs: file.PerPrincipal.QueuedJobs,
			Schedules:  file.PerPrincipal.Schedules,
			Streams:    file.PerPrincipal.Streams,
			Held:       file.PerPrincipal.HeldAnswers,
			Unfinished: registry.Unfinished{
				Uploads: file.PerPrincipal.Uploads,
				Bytes:   file.PerPrincipal.UploadBytes,
			},
		},
		Data:     s.Data,
		Database: s.Database,
		Engine:   s.Engine,

		DatabaseFrom: s.From.Database,
		EngineFrom:   s.From.Engine,

		Pools:     file.Pools,
		Serves:    s.Serves,
		Schedules: s.Schedules,

		AuditHeads: file.AuditHeads,
		Dray:       s.Dray,
		Gates:      s.Gates,
		Slots:      s.Slots,
		Files:      s.Files,
		Keep:       s.Keep,
		Version:    s.Version,
		Log:        s.Log,
		Env:        s.Env,
		Ready:      s.Ready,
	}
	if s.Plain {
		c.Plain = server.AllowPlain
	}
	for name, role := range file.Auth.Roles {
		c.Roles[name] = access.Role(role)
	}
	for _, r := range file.Policy {
		c.Rules = append(c.Rules, access.Rule(r))
	}
	var err error
	if c.Key, err = keyOf(file.Secrets, s.Env); err != nil {
		return c, err
	}
	c.Storage, err = storageOf(file.Storage, s.Env)
	return c, err
}

func keyOf(s config.Secrets, env func(string) string) (k access.KeySource, err error) {
	k = access.KeySource{File: s.KeyFile, Command: s.KeyCommand}
	if s.KeyEnv != "" {
		k.Env, err = textfile.Variable(env, "server.secrets.key-env", s.KeyEnv)
	}
	return k, err
}

func storageOf(s storing.Storage, env func(string) string) (registry.Storage, error) {
	variable := func(setting, name string) (string, error) { return textfile.Variable(env, setting, name) }
	values, err := s.Values(variable, textfile.Secret)
	out := registry.Storage{Driver: s.Driver, Parameters: values, Redirect: s.Redirect}
	if s.Free != nil {
		out.Free = cmp.Or(*s.Free, -1)
	}
	return out, err
}
