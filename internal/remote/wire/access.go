package wire

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/ref"
)

// Access is the login of a request, looked up when it is first needed, and the scopes that its
// tokens must cover. It is safe for concurrent use.
type Access struct {
	chain credential.Chain
	repo  ref.Repo

	mu     sync.Mutex
	login  *credential.Login // nil while it was not looked up
	until  time.Time         // when the chain is asked again; zero for a login that was given
	scopes []string
}

// askAgain is how long a login of the chain is used before the chain is asked again. A run may
// outlive a cloud login of one hour. Sources that know when their login expires answer from memory.
const askAgain = 5 * time.Minute

// NewAccess returns an Access with login and the scopes for repo. If login is nil, it is looked up
// in chain.
func NewAccess(chain credential.Chain, repo ref.Repo, login *credential.Login, scopes ...string) *Access {
	return &Access{chain: chain, repo: repo, login: login, scopes: scopes}
}

// Need adds a scope to those that the next token must cover.
func (a *Access) Need(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.scopes, scope) {
		a.scopes = append(a.scopes, scope)
	}
}

// Drop removes a scope that was of no use.
func (a *Access) Drop(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scopes = slices.DeleteFunc(slices.Clone(a.scopes), func(s string) bool { return s == scope })
}

// Covers reports whether scope is among those that tokens must cover.
func (a *Access) Covers(scope string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	name, actions := CutActions(scope)
	for _, have := range a.scopes {
		n, got := CutActions(have)
		if n == name && !slices.ContainsFunc(actions, func(s string) bool { return !slices.Contains(got, s) }) {
			return true
		}
	}
	return false
}

// CutActions splits a scope into the resource and the actions on it: "repository:app:pull,push"
// into "repository:app" and ["pull", "push"].
func CutActions(scope string) (name string, actions []string) {
	i := strings.LastIndexByte(scope, ':')
	if i < 0 {
		return scope, nil
	}
	return scope[:i], strings.Split(scope[i+1:], ",")
}

// Who returns the login. It looks up the login on first use, and again after askAgain.
func (a *Access) Who(ctx context.Context) (credential.Login, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.login == nil || !a.until.IsZero() && time.Now().After(a.until) {
		l, err := a.chain.For(ctx, a.repo)
		if err != nil {
			return credential.Login{}, err
		}
		a.login, a.until = &l, time.Now().Add(askAgain)
	}
	return *a.login, nil
}

// Wanted returns the scopes that a token must cover.
func (a *Access) Wanted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.scopes)
}

// used returns the login, if it was looked up already.
func (a *Access) used() (l credential.Login, known bool) {
	if a == nil {
		return credential.Login{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.login == nil {
		return credential.Login{}, false
	}
	return *a.login, true
}

// identity returns the user of the login, or the login's scheme if it has no user. "" means
// anonymous.
func (a *Access) identity() string {
	l, _ := a.used()
	switch {
	case l.IsAnonymous():
		return ""
	case l.User != "":
		return l.User
	}
	return string(l.Scheme)
}
