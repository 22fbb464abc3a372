package signin

import (
	"encoding/base64"
	"errors"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/wire"
)

// Desk logs requests in at one registry host. It holds the host's challenge and the tokens that
// were fetched so far. It is safe for concurrent use.
type Desk struct {
	host *wire.Host
	peer func(name string) *wire.Host // returns the connections to another host, for token services

	first *firstContact

	mu       sync.Mutex
	known    *Challenge // nil while no challenge was received
	tokens   map[tokenKey]*tokenCell
	traded   map[tokenKey]string // refresh tokens that an exchange returned
	openRead bool                // a read without a login has succeeded
	silent   bool                // the root of the API asks for no login
}

// New returns a Desk for the host l. peer returns the connections to another host.
func New(l *wire.Host, peer func(name string) *wire.Host) *Desk {
	return &Desk{
		host:   l,
		peer:   peer,
		first:  newFirstContact(),
		tokens: map[tokenKey]*tokenCell{},
		traded: map[tokenKey]string{},
	}
}

// Asks reports whether the host has required a login in any answer so far.
func (d *Desk) Asks() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known != nil
}

// Refresh returns the refresh token that the host's exchange returned for a login, or "".
func (d *Desk) Refresh(login credential.Login) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.traded[tokenKey{scheme: login.Scheme, password: login.Password}]
}

// ForgetTokens discards all tokens, so that the next requests fetch new ones. It is needed after a
// project was created, because older tokens do not cover it.
func (d *Desk) ForgetTokens() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = map[tokenKey]*tokenCell{}
}

// tokenKey says which requests may share a token: those with the same login, token service and
// scopes.
type tokenKey struct {
	scheme       credential.Scheme
	user         string
	password     credential.Secret
	realm, scope string
}

// tokenCell holds the token of one key. Its turn ensures that only one request at a time fetches
// the token.
type tokenCell struct {
	turn      limit.Gate
	value     string
	got, ends time.Time
}

// firstContact lets one request go ahead while it is unknown whether a host requires a login, so
// that many concurrent requests are not all answered 401.
type firstContact struct {
	turn limit.Gate
	done [2]chan struct{} // closed when a request of the class was answered
	once [2]sync.Once
}

func newFirstContact() *firstContact {
	return &firstContact{turn: make(limit.Gate, 1), done: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
}

// acrUser is the user name with which ACR accepts a token as password.
const acrUser = "00000000-0000-0000-0000-000000000000"

// Basic returns the Authorization header that contains a login as user and password.
func Basic(l credential.Login) string {
	user := l.User
	if l.Scheme != credential.Basic && user == "" {
		user = acrUser
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+l.Password.Reveal()))
}

// ErrUnauthorized is in the tree of an error if the final answer of the registry itself, and not of
// its token service, was 401.
var ErrUnauthorized = errors.New("unauthorized")

// unauthorized marks an error as ErrUnauthorized and keeps its text.
type unauthorized struct{ error }

func (unauthorized) Is(target error) bool { return target == ErrUnauthorized }
