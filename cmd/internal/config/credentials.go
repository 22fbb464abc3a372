package config

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

var helperForm = lazily(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Credentials says where the login of a registry comes from. It is either Username with PasswordEnv
// or PasswordFile, or one of Helper, TokenEnv and TokenFile alone. Credentials holds no secret, and
// the secret is not read before a login is needed. The zero value means no login.
type Credentials struct {
	Username     string
	PasswordEnv  string // the name of a variable
	PasswordFile string // an absolute path
	Helper       string // the NAME of the program docker-credential-NAME
	TokenEnv     string // the name of a variable with a token that credential.FromPassword accepts
	TokenFile    string // the absolute path of a file with such a token
	Where        string // the place in the file for messages, such as "config.yaml:12"
}

// Lookup returns a lookup that finds the login of c for host. For the zero Credentials, it finds
// nothing. It reads the secret again at each call. Errors are Invalid for a variable that is not set, a
// file that cannot be read or an invalid password, and those of credential.Helper. All errors name
// c.Where.
func (c Credentials) Lookup(host string, getenv func(string) string) credential.Lookup {
	if c == (Credentials{Where: c.Where}) {
		return func(context.Context, ref.Repo) (credential.Login, bool, error) { return credential.Login{}, false, nil }
	}
	return func(ctx context.Context, repo ref.Repo) (credential.Login, bool, error) {
		if repo.Host != host {
			return credential.Login{}, false, nil
		}
		l, err := c.login(ctx, repo, getenv)
		if err != nil {
			f := &fault.Fault{Kind: fault.KindOf(err), Op: "use credentials of", Name: c.Where, Err: err}
			return credential.Login{}, false, f
		}
		l.From = "config " + c.Where
		return l, true, nil
	}
}

// login reads the login of c.
func (c Credentials) login(ctx context.Context, repo ref.Repo, getenv func(string) string) (credential.Login, error) {
	switch {
	case c.Helper != "":
		l, ok, err := credential.Helper(c.Helper)(ctx, repo)
		if err == nil && !ok {
			// The file says that this helper has the login. To go on without a login would hide the mistake.
			err = &fault.Fault{
				Kind: fault.Denied,
				Op:   "ask credential helper",
				Name: "docker-credential-" + c.Helper,
				Hint: "store a login for " + repo.Host + " in the helper",
				Err:  errors.New("the helper has no login for " + repo.Host),
			}
		}
		return l, err
	case c.PasswordEnv+c.TokenEnv != "":
		name := c.PasswordEnv + c.TokenEnv
		secret := getenv(name)
		if secret == "" {
			return credential.Login{}, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "env " + name,
				Hint: "export " + name, Err: errors.New("not set")}
		}
		return credential.FromPassword(c.Username, secret)
	}
	secret, err := textfile.Secret(c.PasswordFile + c.TokenFile)
	if err != nil {
		return credential.Login{}, err
	}
	return credential.FromPassword(c.Username, secret)
}

// credentials reads the key credentials of a registry.
func (p parser) credentials(n *yaml.Node, out *Credentials) error {
	literal := func(key string) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			return p.bad(n, "a "+key+" does not belong in this file", "use "+key+"-env, "+key+"-file or helper")
		}
	}
	var ways []string
	way := func(key string, read func(*yaml.Node, *string) error, to *string) field {
		return field{key, func(n *yaml.Node) error { ways = append(ways, key); return read(n, to) }}
	}
	err := p.mapping(n, "credentials", []field{
		{"username", func(n *yaml.Node) error { return p.user(n, &out.Username) }},
		way("password-env", p.variable, &out.PasswordEnv),
		way("password-file", p.filePath, &out.PasswordFile),
		way("helper", p.helper, &out.Helper),
		way("token-env", p.variable, &out.TokenEnv),
		way("token-file", p.filePath, &out.TokenFile),
		{"password", literal("password")},
		{"token", literal("token")},
	})
	if err != nil {
		return err
	}
	const all = "username with password-env or password-file; helper; token-env; or token-file"
	password := out.PasswordEnv+out.PasswordFile != ""
	switch {
	case len(ways) > 1:
		return p.bad(n, strings.Join(ways, " and ")+" cannot be combined", "keep one: "+all)
	case password && out.Username == "":
		return p.bad(n, ways[0]+" without username", "add the username, or use token-env or token-file")
	case !password && out.Username != "" && len(ways) == 1:
		return p.bad(n, "username cannot be combined with "+ways[0], "remove username")
	case len(ways) == 0:
		return p.bad(n, "credentials do not say where the login comes from", "set one: "+all)
	}
	out.Where = p.path + ":" + strconv.Itoa(n.Line)
	return nil
}

// user reads a user name.
func (p parser) user(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	if strings.ContainsAny(*out, ":\r\n") {
		return p.bad(n, "a user name must not contain a colon or a line break", "")
	}
	return nil
}

// helper reads the name of a credential helper.
func (p parser) helper(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	if !helperForm().MatchString(*out) {
		return p.bad(n, "not the name of a credential helper: "+strconv.Quote(*out),
			"write the part of the program's name after docker-credential-")
	}
	return nil
}
