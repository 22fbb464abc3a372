package remote

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// access is who asks and for what: a login, looked up when it is first wanted,
// and the scopes that its tokens have to cover.
type access struct {
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

// access puts the repository's own scope first: some token services look at the first only.
func (c *Client) access(repo ref.Repo, use Use) *access {
	actions := use.Actions
	if actions == "" {
		actions = Pull
	}
	a := &access{chain: c.options.Logins, repo: repo, login: use.Login}
	a.scopes = []string{"repository:" + repo.Path + ":" + string(actions)}
	for _, path := range use.MountFrom {
		if path != repo.Path {
			a.need("repository:" + path + ":pull")
		}
	}
	return a
}

// need adds a scope to those that the next token has to cover.
func (a *access) need(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.scopes, scope) {
		a.scopes = append(a.scopes, scope)
	}
}

// drop takes a scope back that brought nothing.
func (a *access) drop(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scopes = slices.DeleteFunc(slices.Clone(a.scopes), func(s string) bool { return s == scope })
}

// covers reports whether scope was asked for already.
func (a *access) covers(scope string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	name, actions := cutActions(scope)
	for _, have := range a.scopes {
		n, got := cutActions(have)
		if n == name && !slices.ContainsFunc(actions, func(s string) bool { return !slices.Contains(got, s) }) {
			return true
		}
	}
	return false
}

func cutActions(scope string) (name string, actions []string) {
	i := strings.LastIndexByte(scope, ':')
	if i < 0 {
		return scope, nil
	}
	return scope[:i], strings.Split(scope[i+1:], ",")
}

func (a *access) who(ctx context.Context) (credential.Login, error) {
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

func (a *access) wanted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.scopes)
}

// firstContact lets one request go ahead while it is not known whether a host
// wants a login, so that many at once are not all answered 401.
type firstContact struct {
	turn gate
	done [2]chan struct{} // closed when a request of the class got through
	once [2]sync.Once
}

func newFirstContact() *firstContact {
	return &firstContact{turn: make(gate, 1), done: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
}

// class of a request: a registry that lets everybody read may still want a login for writing.
func (c *call) class() int {
	if c.method == http.MethodGet || c.method == http.MethodHead {
		return 0
	}
	return 1
}

// acquainted reports whether it is known what a call of this class needs.
func (h *host) acquainted(class int) bool {
	h.mu.Lock()
	known := h.known != nil
	h.mu.Unlock()
	if known {
		return true
	}
	select {
	case <-h.first.done[class]:
		return true
	default:
		return false
	}
}

// meet waits for this call's turn. leave lets the next go.
func (h *host) meet(ctx context.Context, c *call) (leave func(), err error) {
	if h.acquainted(c.class()) {
		return func() {}, nil
	}
	select {
	case <-h.first.done[c.class()]:
		return func() {}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case h.first.turn <- struct{}{}:
	}
	if h.acquainted(c.class()) {
		h.first.turn.leave()
		return func() {}, nil
	}
	return h.first.turn.leave, nil
}

// met notes that a request of this class got through.
func (h *host) met(c *call, authz string, a *answer) {
	h.first.once[c.class()].Do(func() { close(h.first.done[c.class()]) })
	if authz == "" && c.class() == 0 && a.status < 400 {
		h.learn(func(l *learned) { l.openRead = true })
	}
}

// authorization returns the header that a call carries: nothing before a
// registry asked for it. old is a token that was refused.
func (h *host) authorization(ctx context.Context, c *call, old string) (string, error) {
	h.mu.Lock()
	ch, open := h.known, h.learned.openRead
	h.mu.Unlock()
	if ch == nil {
		return "", nil
	}
	login, err := c.access.who(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case login.IsAnonymous() && (ch.scheme == "basic" || open && c.class() == 0 && old == ""):
		return "", nil
	case login.Scheme == credential.Bearer:
		return "Bearer " + login.Password.Reveal(), nil
	case ch.scheme == "basic":
		return basic(login), nil
	}
	token, err := h.token(ctx, c, ch, login, old)
	if err != nil {
		return "", err
	}
	return "Bearer " + token, nil
}

// acrUser is the user name under which ACR takes a token for a password.
const acrUser = "00000000-0000-0000-0000-000000000000"

func basic(l credential.Login) string {
	user := l.User
	if l.Scheme != credential.Basic && user == "" {
		user = acrUser
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+l.Password.Reveal()))
}

// challenged answers a 401: it returns what to send instead, or the error when
// nothing better can be sent. refused is how often a login was refused in this
// try: a token is renewed once.
func (h *host) challenged(ctx context.Context, c *call, a *answer, sent string, refused int) (string, error) {
	login, err := c.access.who(ctx)
	if err != nil {
		return "", err
	}
	offered := parseChallenges(a.header)
	if len(offered) == 0 && sent == "" && c.path != pingPath {
		if offered, err = h.ping(ctx, c); err != nil {
			return "", err
		}
	}
	if len(offered) > 0 {
		ch, err := h.strongest(ctx, offered, login)
		if err != nil {
			return "", c.named(err)
		}
		h.recognise(offered)
		h.mu.Lock()
		h.known = ch
		h.mu.Unlock()
	}
	if missing := missingScope(offered, c.access, sent); missing != "" {
		return "", c.fault(fault.Denied, h.signIn(), fmt.Errorf("the token of %s lacks %s", whose(login), missing))
	}
	old, isToken := strings.CutPrefix(sent, "Bearer ")
	if refused > 0 || sent != "" && (!isToken || login.Scheme == credential.Bearer) {
		return "", h.denied(c, a, login)
	}
	next, err := h.authorization(ctx, c, old)
	if err != nil {
		return "", err
	}
	if next == "" || next == sent {
		return "", h.denied(c, a, login)
	}
	return next, nil
}

func (h *host) denied(c *call, a *answer, login credential.Login) error {
	code, text := a.problem()
	if text == "" && code == "" {
		text = "no access for " + whose(login)
	}
	return c.fault(fault.Denied, h.deniedHint(c, a), unauthorized{quote(a.status, code, text)})
}

func (h *host) signIn() string { return "sign in with: dray login " + h.name }

// whose names a login without showing any of it but the user.
func whose(l credential.Login) string {
	switch {
	case l.IsAnonymous():
		return "anonymous users"
	case l.User != "":
		return clean(l.User)
	}
	return "this login"
}

// missingScope names the scope that a token lacks for good: it was asked for
// and not given. One that was not asked for yet is added to the next token.
func missingScope(offered []challenge, who *access, sent string) string {
	if !strings.HasPrefix(sent, "Bearer ") {
		return ""
	}
	for _, ch := range offered {
		if ch.scheme != "bearer" {
			continue
		}
		missing := ""
		for _, scope := range strings.Fields(ch.params["scope"]) {
			if scope == "*" || len(scope) > 512 {
				continue
			}
			if who.covers(scope) {
				missing = clean(scope)
				continue
			}
			who.need(scope)
			return ""
		}
		if ch.params["error"] == "insufficient_scope" {
			return missing
		}
	}
	return ""
}

const pingPath = "/v2/"

// ping asks for the challenge that a 401 left out, as gcr.io's do.
func (h *host) ping(ctx context.Context, c *call) ([]challenge, error) {
	origin, err := h.origin(ctx)
	if err != nil {
		return nil, err
	}
	origin.Path = pingPath
	a, err := h.exchange(ctx, &call{op: c.op, name: c.name, method: http.MethodGet, url: origin, observe: c.observe}, "")
	if err != nil {
		return nil, err
	}
	return parseChallenges(a.header), nil
}

// strongest chooses among what a registry offers: a token before a password,
// as long as the token service may be told the login.
func (h *host) strongest(ctx context.Context, offered []challenge, login credential.Login) (*challenge, error) {
	var refused error
	for _, ch := range offered {
		if ch.scheme != "bearer" {
			continue
		}
		if _, err := h.realm(ctx, ch, login); err != nil && login.Scheme != credential.Bearer {
			refused = err
			continue
		}
		return &ch, nil
	}
	for _, ch := range offered {
		if ch.scheme == "basic" {
			return &ch, nil
		}
	}
	if refused != nil {
		return nil, refused
	}
	return nil, h.fail(fault.Denied, "", "%w: %s", errors.New("it offers no way to sign in that is known"), clean(offered[0].scheme))
}
