package credential

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unique"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

const redacted = "[redacted]"

// Secret is text that prints, logs and marshals as "[redacted]"; Reveal is the only way out.
// The zero Secret is the empty text. Secrets are comparable: equal texts are equal Secrets.
//
// The text is kept behind a handle and not in a field, because package fmt prints the fields of a
// struct without asking its methods where the struct is unexported or the verb does not fit.
type Secret struct{ text unique.Handle[string] }

// New hides s.
func New(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{unique.Make(s)}
}

// Reveal returns the text. Call it where the text leaves for its registry, helper or file, nowhere else.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.text.Value()
}

// IsZero reports whether s is the empty text.
func (s Secret) IsZero() bool { return s == Secret{} }

func (Secret) String() string { return redacted }

// Format answers every verb, also those that a Stringer is not asked for, such as %d.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// MarshalText serves JSON, YAML and XML. There is no way back: nothing unmarshals into a Secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is what slog writes.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Scheme says how a Login is presented.
type Scheme string

const (
	// Basic is a user and a password, sent as they are or traded for a token.
	Basic Scheme = ""
	// Refresh is an OAuth2 refresh token (docker's "identitytoken", ACR's refresh token) for the
	// registry's token endpoint with grant_type=refresh_token.
	Refresh Scheme = "refresh"
	// Bearer is an access token of the registry, sent as it is.
	Bearer Scheme = "bearer"
	// Exchange is a Microsoft Entra access token, to be traded at https://HOST/oauth2/exchange for
	// a refresh token first.
	Exchange Scheme = "exchange"
)

// Login is what a registry is shown. The zero Login is anonymous. It is comparable, so it can key
// a cache of tokens.
type Login struct {
	Scheme   Scheme
	User     string // "" unless Scheme is Basic
	Password Secret // the password, or the token of the other schemes
	From     string // where it came from, for people: "flag", "env DRAY_SRC_CREDS", "docker config ~/.docker/config.json"

	second *second // Exchange only, of Azure; nil is none
}

// second is a login of the same identity that is asked for only when it is needed. One identity
// has one, so that its Logins stay equal.
type second struct {
	ask func(context.Context) (Login, bool, error)
}

// Fallback returns the login to try where the registry refuses l: an Azure identity's token for
// the older audience, of the resource manager. ok=false when there is none. Errors are those of
// the Lookup that made l.
func (l Login) Fallback(ctx context.Context) (again Login, ok bool, err error) {
	if l.second == nil {
		return Login{}, false, nil
	}
	return l.second.ask(ctx)
}

// IsAnonymous reports whether l has nothing to show. From does not count.
func (l Login) IsAnonymous() bool { return l.User == "" && l.Password.IsZero() }

// Lookup returns ok=false when it knows nothing of repo. An error is a *fault.Fault that names the
// file, variable or helper which made the trouble. It may be called concurrently.
type Lookup func(ctx context.Context, repo ref.Repo) (l Login, ok bool, err error)

// Chain looks a login up; the first source that knows the repository answers.
type Chain []Lookup

// For asks every source in turn. No answer is the anonymous login. A source in trouble ends the
// search with an error of its Kind: going on would send another login than the one that was meant.
// A layout on disk needs no login and nobody is asked.
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

// Fixed answers l for every repository of a registry, or below a path of it: "reg.example:5000",
// "reg.example/team". A where that is no host fails each lookup with Invalid.
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

// covers reports whether the repository path lies at or below prefix; "" covers all.
func covers(prefix, path string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}
