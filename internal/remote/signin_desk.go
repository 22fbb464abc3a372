package remote

import (
	"encoding/base64"
	"errors"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
)

// desk signs requests in at one registry host: what the host wants to know of who
// asks, and the tokens that were got so far.
type desk struct {
	host *line
	peer func(name string) *line // the connection to another host, where token services are

	first *firstContact

	mu       sync.Mutex
	known    *challenge // nil while nobody was asked for a login
	tokens   map[tokenKey]*tokenCell
	traded   map[tokenKey]string // refresh tokens that came of an exchange
	openRead bool                // it let somebody read without a login
}

func newDesk(l *line, peer func(name string) *line) *desk {
	return &desk{host: l, peer: peer, first: newFirstContact(), tokens: map[tokenKey]*tokenCell{}, traded: map[tokenKey]string{}}
}

// asks reports whether the host has asked anybody for a login so far.
func (d *desk) asks() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known != nil
}

// refresh is the refresh token that the host's exchange gave for a login; "" is none.
func (d *desk) refresh(login credential.Login) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.traded[tokenKey{scheme: login.Scheme, password: login.Password}]
}

// forgetTokens makes the next requests ask for new tokens: what exists has changed.
func (d *desk) forgetTokens() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = map[tokenKey]*tokenCell{}
}

// tokenKey is what a token is good for.
type tokenKey struct {
	scheme       credential.Scheme
	user         string
	password     credential.Secret
	realm, scope string
}

// tokenCell holds the one token of a key. Its turn makes sure that one request fetches it.
type tokenCell struct {
	turn      gate
	value     string
	got, ends time.Time
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

// acrUser is the user name under which ACR takes a token for a password.
const acrUser = "00000000-0000-0000-0000-000000000000"

func basic(l credential.Login) string {
	user := l.User
	if l.Scheme != credential.Basic && user == "" {
		user = acrUser
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+l.Password.Reveal()))
}

// ErrUnauthorized is in the tree of an error when the registry itself, and not its token service, answered 401 for good.
var ErrUnauthorized = errors.New("unauthorized")

// unauthorized reads as the answer did.
type unauthorized struct{ error }

func (unauthorized) Is(target error) bool { return target == ErrUnauthorized }
