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

// Access is who asks and for what: a login, looked up when it is first wanted,
// and the scopes that its tokens have to cover.
type Access struct {
	chain credential.Chain
	repo  ref.Repo

	mu     sync.Mutex
	login  *credential.Login // nil while it was not looked up
	until  time.Time         // when the chain is asked again; zero for a login that was given
	scopes []string
}

// askAgain is how long a login of the chain is taken for good: a run may outlive a
// cloud's login of an hour, and sources that know better answer from memory.
const askAgain = 5 * time.Minute

// NewAccess is a login, looked up in chain where it is nil, and scopes for repo.
func NewAccess(chain credential.Chain, repo ref.Repo, login *credential.Login, scopes ...string) *Access {
	return &Access{chain: chain, repo: repo, login: login, scopes: scopes}
}

// Need adds a scope to those that the next token has to cover.
func (a *Access) Need(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.scopes, scope) {
		a.scopes = append(a.scopes, scope)
	}
}

// Drop takes a scope back that brought nothing.
func (a *Access) Drop(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scopes = slices.DeleteFunc(slices.Clone(a.scopes), func(s string) bool { return s == scope })
}

// Covers reports whether scope was asked for already.
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

// CutActions parts a scope into what it is about and the actions on that.
func CutActions(scope string) (name string, actions []string) {
	i := strings.LastIndexByte(scope, ':')
	if i < 0 {
		return scope, nil
	}
	return scope[:i], strings.Split(scope[i+1:], ",")
}

// Who is the login, looked up when it is first wanted, and again after a while.
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

// Wanted are the scopes that a token has to cover.
func (a *Access) Wanted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.scopes)
}

// identity is the user of the login, or its scheme where it has none; "" is nobody's.
func (a *Access) identity() string {
	if a == nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.login == nil || a.login.IsAnonymous():
		return ""
	case a.login.User != "":
		return a.login.User
	}
	return string(a.login.Scheme)
}
