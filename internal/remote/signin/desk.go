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

// Desk signs requests in at one registry host: what the host wants to know of who
// asks, and the tokens that were got so far.
type Desk struct {
	host *wire.Host
	peer func(name string) *wire.Host // the connection to another host, where token services are

	first *firstContact

	mu       sync.Mutex
	known    *Challenge // nil while nobody was asked for a login
	tokens   map[tokenKey]*tokenCell
	traded   map[tokenKey]string // refresh tokens that came of an exchange
	openRead bool                // it let somebody read without a login
}

// New signs requests in at the host of l. peer gives the connection to another host.
func New(l *wire.Host, peer func(name string) *wire.Host) *Desk {
	return &Desk{host: l, peer: peer, first: newFirstContact(), tokens: map[tokenKey]*tokenCell{}, traded: map[tokenKey]string{}}
}

// Asks reports whether the host has asked anybody for a login so far.
func (d *Desk) Asks() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known != nil
}

// Refresh is the refresh token that the host's exchange gave for a login; "" is none.
func (d *Desk) Refresh(login credential.Login) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.traded[tokenKey{scheme: login.Scheme, password: login.Password}]
}

// ForgetTokens makes the next requests ask for new tokens: what exists has changed.
func (d *Desk) ForgetTokens() {
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
	turn      limit.Gate
	value     string
	got, ends time.Time
}

// firstContact lets one request go ahead while it is not known whether a host
// wants a login, so that many at once are not all answered 401.
type firstContact struct {
	turn limit.Gate
	done [2]chan struct{} // closed when a request of the class got through
	once [2]sync.Once
}

func newFirstContact() *firstContact {
	return &firstContact{turn: make(limit.Gate, 1), done: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
}

// acrUser is the user name under which ACR takes a token for a password.
const acrUser = "00000000-0000-0000-0000-000000000000"

// Basic is the header that shows a login as user and password.
func Basic(l credential.Login) string {
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
