package testbed

import (
	"net/http"
	"time"

	"github.com/drayage/dray/internal/testbed/canary"
)

// Options choose how a registry is served. The zero value is plain HTTP/1.1 without authentication.
type Options struct {
	Wire     Wire
	Scheme   Scheme
	Protocol Protocol
	Auth     Auth

	// Host is the name of a registry on Pipes; "" means "127.0.0.1:5000".
	Host string

	// Front wraps authentication and the registry, but not the log.
	Front func(http.Handler) http.Handler

	// Dir is where Distribution and DockerRegistry store content. "" means memory for Distribution,
	// and a directory of the test for DockerRegistry.
	Dir string

	// Content says what Distribution accepts; see Strict and Open.
	Content Content

	// Referrers says whether Sloppy has the referrers API.
	Referrers Referrers
}

// Wire says what carries the connections of a registry.
type Wire string

// The zero Wire is Loopback: a socket on 127.0.0.1. Pipes are for tests in virtual time. Only
// Registry.Dial and Registry.Client reach such a registry.
const (
	Loopback Wire = ""
	Pipes    Wire = "pipes"
)

// Scheme says whether a registry speaks TLS.
type Scheme string

// The zero Scheme is HTTP. The certificate of HTTPS is valid for 127.0.0.1 and example.com.
// Registry.Client trusts it and CAFile writes it.
const (
	HTTP  Scheme = ""
	HTTPS Scheme = "https"
)

// Protocol says which versions of HTTP a registry speaks.
type Protocol string

// The zero Protocol is HTTP/1.1 only. HTTP2 adds HTTP/2: by ALPN over TLS, with prior knowledge
// (h2c) over plain HTTP.
const (
	HTTP1 Protocol = ""
	HTTP2 Protocol = "h2"
)

// Password is the password of the user "user", and of others whom a test does not distinguish.
const Password = canary.Password

// Content says what Distribution accepts beyond complete images.
type Content string

const (
	// Strict is distribution with its default settings: it answers 500 to a manifest with foreign
	// layers, and an index requires all its children.
	Strict Content = ""
	// Open accepts foreign layers from any URL and sparse indexes.
	Open Content = "open"
)

// Referrers says whether a registry has the referrers API.
type Referrers string

// The zero Referrers is NoReferrers.
const (
	NoReferrers   Referrers = ""
	WithReferrers Referrers = "yes"
)

// Auth describes who may do what. The zero value allows everybody everything.
type Auth struct {
	Mode      Mode
	Challenge Challenge
	Realm     Realm
	Anonymous Anonymous
	Dialect   Dialect

	Users map[string]string // user name to password; nil means user "user" with Password
	Entra map[string]string // Entra access token to user name, for ACR

	TTL     time.Duration // lifetime of a token; 0 means five minutes
	Service string        // "" means "testbed"
	Told    bool          // tokens list what they grant, in the claim "access"

	// May limits the rights of a user who has logged in; nil allows everything. The actions are
	// pull, push, delete and ACR's metadata_read, and * on the repository "registry:catalog".
	May func(user, repo, action string) bool
}

// Mode says which kind of login a registry requires.
type Mode string

// The zero Mode is None.
const (
	None   Mode = ""
	Basic  Mode = "basic"
	Bearer Mode = "bearer"
)

// Challenge says how a 401 response looks in Bearer mode.
type Challenge string

const (
	// Plain is one Bearer challenge with realm, service and the scope that the request requires.
	Plain Challenge = ""
	// TwoChallenges is what Gitea sends: Bearer with scope "*", and Basic in a second header. A
	// Basic login is accepted too.
	TwoChallenges Challenge = "two"
	// OnlyOnPing leaves WWW-Authenticate out of every 401 except that of /v2/, as gcr.io does.
	OnlyOnPing Challenge = "ping"
)

// Realm says where the token service listens.
type Realm string

// The zero Realm is SameListener: the registry's own origin. OtherListener is another port of
// 127.0.0.1 with the scheme of the registry, recorded by Issuer.Server. On Pipes it is
// "127.0.0.1:5001", and a client reaches it with Dialer.
const (
	SameListener  Realm = ""
	OtherListener Realm = "other"
)

// Anonymous says what a request without credentials may do.
type Anonymous string

// The zero Anonymous is Nothing.
const (
	Nothing Anonymous = ""
	Pull    Anonymous = "pull" // tokens for pull without credentials; Bearer mode only
)

// Dialect says which requests a token service understands.
type Dialect string

const (
	// Docker has GET /token with Basic and POST /token with grant_type password or refresh_token.
	// Its responses have expires_in and issued_at.
	Docker Dialect = ""
	// ACR has /oauth2/token instead of /token, and responses without expires_in. It also has POST
	// /oauth2/exchange, which exchanges an Entra access token (a key of Auth.Entra) for a refresh
	// token.
	ACR Dialect = "acr"
)

func (a Auth) users() map[string]string {
	if a.Users == nil {
		return map[string]string{"user": Password}
	}
	return a.Users
}

func (a Auth) service() string {
	if a.Service == "" {
		return "testbed"
	}
	return a.Service
}

func (a Auth) knows(user, password string) bool {
	want, ok := a.users()[user]
	return ok && want == password
}

func (a Auth) may(user, repo, action string) bool {
	if user == "" {
		return a.Anonymous == Pull && action == "pull"
	}
	return a.May == nil || a.May(user, repo, action)
}
