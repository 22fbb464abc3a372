package testbed

import (
	"net/http"
	"time"
)

// Options choose how a registry is served. The zero value is plain HTTP/1.1
// without authentication.
type Options struct {
	Wire     Wire
	Scheme   Scheme
	Protocol Protocol
	Auth     Auth

	// Host is what a registry on Pipes is called; "" is "127.0.0.1:5000".
	Host string

	// Front wraps everything but the log: authentication and the registry.
	Front func(http.Handler) http.Handler

	// Dir is where Distribution and DockerRegistry keep content. "" is memory
	// for the first and a directory of the test for the second.
	Dir string

	// Content says what Distribution accepts; see Strict and Open.
	Content Content

	// Referrers says whether Sloppy has the referrers API.
	Referrers Referrers
}

// Wire says what carries the connections of a registry.
type Wire string

// The zero Wire is Loopback: a socket on 127.0.0.1. Pipes are for tests in
// virtual time; only Registry.Dial and Registry.Client reach such a registry.
const (
	Loopback Wire = ""
	Pipes    Wire = "pipes"
)

// Scheme says whether a registry speaks TLS.
type Scheme string

// The zero Scheme is HTTP. The certificate of HTTPS is valid for 127.0.0.1 and
// example.com; Client trusts it and CAFile writes it.
const (
	HTTP  Scheme = ""
	HTTPS Scheme = "https"
)

// Protocol says which versions of HTTP a registry speaks.
type Protocol string

// The zero Protocol is HTTP/1.1 alone. HTTP2 adds HTTP/2: by ALPN over TLS,
// with prior knowledge (h2c) over plain HTTP.
const (
	HTTP1 Protocol = ""
	HTTP2 Protocol = "h2"
)

// Content says what Distribution accepts beyond complete images.
type Content string

const (
	// Strict is distribution as it comes: a manifest with foreign layers is
	// answered 500, an index needs all its children.
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

// Auth describes who may do what. The zero value lets everybody do everything.
type Auth struct {
	Mode      Mode
	Challenge Challenge
	Realm     Realm
	Anonymous Anonymous
	Dialect   Dialect

	Users map[string]string // name to password; nil is user "user" with password "secret"
	Entra map[string]string // Entra access token to user name, for ACR

	TTL     time.Duration // of a token; 0 is five minutes
	Service string        // "" is "testbed"

	// May narrows what a signed-in user gets; nil is everything. The actions
	// are pull, push, delete and ACR's metadata_read, and * on the repository "registry:catalog".
	May func(user, repo, action string) bool
}

// Mode says how a registry wants people to sign in.
type Mode string

// The zero Mode is None.
const (
	None   Mode = ""
	Basic  Mode = "basic"
	Bearer Mode = "bearer"
)

// Challenge says what a 401 looks like in Bearer mode.
type Challenge string

const (
	// Plain is one Bearer challenge with realm, service and the scope that
	// the request needs.
	Plain Challenge = ""
	// TwoChallenges is what Gitea sends: Bearer with scope "*", and Basic in a
	// second header. Basic is accepted, too.
	TwoChallenges Challenge = "two"
	// OnlyOnPing leaves WWW-Authenticate out of every 401 but that of /v2/, as
	// gcr.io does.
	OnlyOnPing Challenge = "ping"
)

// Realm says where the token service listens.
type Realm string

// The zero Realm is SameListener: the registry's own origin. OtherListener is
// another port of 127.0.0.1, recorded by Issuer.Server; on Pipes it is
// "127.0.0.1:5001", to be reached by Dialer.
const (
	SameListener  Realm = ""
	OtherListener Realm = "other"
)

// Anonymous says what a request without credentials gets.
type Anonymous string

// The zero Anonymous is Nothing.
const (
	Nothing Anonymous = ""
	Pull    Anonymous = "pull" // tokens for pull without credentials; Bearer mode only
)

// Dialect says which requests a token service understands.
type Dialect string

const (
	// Docker has GET /token with Basic and POST /token with grant_type password
	// or refresh_token; answers carry expires_in and issued_at.
	Docker Dialect = ""
	// ACR has /oauth2/token in place of /token, answers without expires_in, and
	// POST /oauth2/exchange, which turns an Entra access token (a value of
	// Auth.Entra) into a refresh token.
	ACR Dialect = "acr"
)

func (a Auth) users() map[string]string {
	if a.Users == nil {
		return map[string]string{"user": "secret"}
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
