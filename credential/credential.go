package credential

import (
	"context"
	"fmt"
	"io"
	"log/slog" //nolint:depguard // only for LogValue, which hides a Secret in a log; nothing here logs
	"strings"
	"unique"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

const redacted = "[redacted]"

// Secret is text that prints, logs and marshals as "[redacted]". Only [Secret.Reveal] returns the text. The
// zero Secret is the empty text. Secrets are comparable: equal texts are equal Secrets.
type Secret struct {
	// A handle and not a string: package fmt prints the fields of a struct without calling its methods
	// if the field that holds the struct is unexported.
	text unique.Handle[string]
}

// New returns s as a Secret.
func New(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{unique.Make(s)}
}

// Reveal returns the text. Call it only where the text is sent to its registry or helper, or written to its
// file.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.text.Value()
}

// IsZero reports whether s is the empty text.
func (s Secret) IsZero() bool { return s == Secret{} }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format writes "[redacted]" for every verb, also for those that do not use String, such as %d.
func (Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// MarshalText returns "[redacted]", for JSON, YAML and XML. A Secret cannot be unmarshaled.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]", for package log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Scheme says what the Password of a [Login] is, and so how a client uses it:
//
//   - [Basic]: a password, with a user.
//   - [Refresh]: an OAuth2 refresh token.
//   - [Bearer]: an access token of the registry.
//   - [Exchange]: a Microsoft Entra access token.
type Scheme string

const (
	// Basic is a user and a password. A client sends them as they are, or exchanges them for a token.
	Basic Scheme = ""

	// Refresh is an OAuth2 refresh token for the token endpoint of the registry, with
	// grant_type=refresh_token: docker's "identitytoken", or the refresh token of Azure Container
	// Registry.
	Refresh Scheme = "refresh"

	// Bearer is an access token of the registry. A client sends it as it is.
	Bearer Scheme = "bearer"

	// Exchange is a Microsoft Entra access token. A client first exchanges it for a refresh token, at
	// https://HOST/oauth2/exchange.
	Exchange Scheme = "exchange"
)

// Login is what a client shows to a registry. The zero Login is anonymous. Logins are comparable and can
// be keys of a map of tokens.
type Login struct {
	Scheme   Scheme
	User     string // "" unless Scheme is Basic
	Password Secret // the password or the token

	// From says where the login came from, for people: "flag", "env DRAY_SRC_CREDS", "docker config
	// ~/.docker/config.json".
	From string

	second *second // nil if there is no second login; only Exchange logins of Azure have one
}

// second is another login of the same identity, which is requested only when it is needed. Logins of one
// identity share one second, so that they are equal.
type second struct {
	ask func(context.Context) (Login, bool, error)
}

// Fallback returns the login to try if the registry refuses l: for an Azure identity, a token for the older
// audience, that of the resource manager. ok is false if there is none. The errors are those of the Lookup
// that returned l.
func (l Login) Fallback(ctx context.Context) (again Login, ok bool, err error) {
	if l.second == nil {
		return Login{}, false, nil
	}
	return l.second.ask(ctx)
}

// Identity names the login for people, without its secret: "user ann, from docker config
// ~/.docker/config.json". It returns "" for the anonymous login.
func (l Login) Identity() string {
	if l.IsAnonymous() {
		return ""
	}
	text := "a token"
	switch {
	case l.Scheme == Refresh:
		text = "a refresh token"
	case l.Scheme == Bearer:
		text = "an access token of the registry"
	case l.Scheme == Exchange:
		text = "an Entra token"
	case l.User != "":
		text = "user " + l.User
	}
	if l.From != "" {
		text += ", from " + l.From
	}
	return text
}

// IsAnonymous reports whether l has neither a user nor a password. It ignores From.
func (l Login) IsAnonymous() bool { return l.User == "" && l.Password.IsZero() }

// Lookup returns the login for a repository. ok is false if it has no login for repo. An error is a
// [*fault.Fault] that names the file, the variable or the helper that caused it. A Lookup must be safe for
// concurrent use.
type Lookup func(ctx context.Context, repo ref.Repo) (l Login, ok bool, err error)

// Chain is a list of Lookups. The first one that has a login for a repository answers.
type Chain []Lookup

// For calls the Lookups in order and returns the first login. If no Lookup has one, it returns the
// anonymous login. If a Lookup returns an error, For ends with an error of the same Kind and does not call
// the next one, which could return another login than the intended one. For a layout on disk, For calls no
// Lookup and returns the anonymous login.
func (c Chain) For(ctx context.Context, repo ref.Repo) (Login, error) {
	if repo.IsLayout() {
		return Login{}, nil
	}
	for _, look := range c {
		l, ok, err := look(ctx, repo)
		if err != nil {
			return Login{}, &fault.Fault{Kind: fault.KindOf(err), Op: "find a login for", Name: repo.Host, Err: err}
		}
		if ok {
			return l, nil
		}
	}
	return Login{}, nil
}

// Fixed returns a Lookup that answers l for every repository of a registry ("reg.example:5000"), or at and
// below a path in it ("reg.example/team"). If where does not begin with a host, each call returns
// [fault.Invalid].
func Fixed(where string, l Login) Lookup {
	host, path, _ := strings.Cut(where, "/")
	path = strings.Trim(path, "/")
	host, err := ref.Host(host)
	return func(_ context.Context, repo ref.Repo) (Login, bool, error) {
		if err != nil {
			return Login{}, false, err
		}
		if repo.Host != host || !covers(path, repo.Path) {
			return Login{}, false, nil
		}
		return l, true, nil
	}
}

// covers reports whether the repository path is prefix or is below it; "" covers every path.
func covers(prefix, path string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}
