package access

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// clock is a clock that stands still until a test moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

// onPostgres creates an empty PostgreSQL database. It is nil unless the tests run on PostgreSQL.
var onPostgres func(testing.TB) string

// database opens an empty database.
func database(tb testing.TB) *store.DB {
	tb.Helper()
	url := "sqlite:" + filepath.Join(tb.TempDir(), "dray.db")
	if onPostgres != nil {
		url = onPostgres(tb)
	}
	db, err := store.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

func testVault(tb testing.TB) *Vault {
	tb.Helper()
	v, err := OpenVault(tb.Context(), KeySource{File: filepath.Join(tb.TempDir(), "keys", "secrets.key")})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func open(tb testing.TB, c Config) *Access {
	tb.Helper()
	if c.DB == nil {
		c.DB = database(tb)
	}
	if c.Vault == nil {
		c.Vault = testVault(tb)
	}
	a, err := Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func wantKind(tb testing.TB, err error, kind fault.Kind) {
	tb.Helper()
	if !fault.Is(err, kind) {
		tb.Helper()
		tb.Fatalf("got %v, want %s", err, kind)
	}
}

func token(tb testing.TB, a *Access, principal string, role Role) string {
	tb.Helper()
	secret, _, err := a.NewToken(tb.Context(), Token{Principal: principal, Role: role, By: "root"})
	if err != nil {
		tb.Fatal(err)
	}
	return secret.Reveal()
}

func request(authorization string) *http.Request {
	r := httptest.NewRequest("POST", "https://dray.example/api/v1/imports", nil)
	r.RemoteAddr = "203.0.113.7:4711"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func TestATokenIsShownOnceAndKnownAgain(t *testing.T) {
	c := newClock()
	a := open(t, Config{Clock: c.now})
	secret, made, err := a.NewToken(t.Context(), Token{Name: "build server", Principal: "ci", Role: Submitter, By: "root"})
	if err != nil {
		t.Fatal(err)
	}
	text := secret.Reveal()
	for _, h := range []string{"Bearer " + text, "bearer  " + text, "Basic " + basic("anybody", text), "Basic " + basic("", text)} {
		p, err := a.Authenticate(request(h))
		if want := (Principal{Name: "ci", Role: Submitter, Via: ViaToken, Token: made.ID}); err != nil || p != want {
			t.Errorf("%s: %+v %v", h[:7], p, err)
		}
	}
	list, err := a.Tokens(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "build server" || list[0].By != "root" || !list[0].Expires.Equal(c.now().Add(DefaultTokenLife)) || list[0].Used.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
	// The database contains neither the text of the token nor its secret part.
	if err := a.Chain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var dump strings.Builder
	rows, err := a.db.QueryContext(t.Context(), `SELECT id || name || principal || hash FROM access_tokens UNION ALL SELECT principal || verb || source || target || old || new FROM audit`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		dump.WriteString(s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(dump.String(), text[len(tokenPrefix)+idLength+1:][:20]) || !strings.Contains(dump.String(), "token create") {
		t.Errorf("the database contains the token: %s", dump.String())
	}
}

func TestATokenThatEndedOrWasChangedLetsNobodyIn(t *testing.T) {
	c := newClock()
	a := open(t, Config{Clock: c.now})
	soon, _, err := a.NewToken(t.Context(), Token{Principal: "ci", Role: Admin, Expires: c.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	revoked, made, err := a.NewToken(t.Context(), Token{Principal: "ci", Role: Admin})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.RevokeToken(t.Context(), "root", made.ID); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, a.RevokeToken(t.Context(), "root", "nothing"), fault.NotFound)
	if _, err := a.Authenticate(request("Bearer " + soon.Reveal())); err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	_, forged := mint()
	// The id of a valid token with another secret and a correct sum.
	alive := token(t, a, "ci", Admin)
	body := alive[:len(tokenPrefix)+idLength+1] + forged.Reveal()[len(tokenPrefix)+idLength+1:tokenLength-sumLength]
	for name, text := range map[string]string{
		"expired": soon.Reveal(), "revoked": revoked.Reveal(), "unknown": forged.Reveal(), "forged": body + sumOf(body),
		"cut": alive[:len(alive)-1], "longer": alive + "a", "upper case": strings.ToUpper(alive), "empty": "dray_",
	} {
		if p, err := a.Authenticate(request("Bearer " + text)); !fault.Is(err, fault.Denied) || p != (Principal{}) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
		if err := errOf(a.Authenticate(request("Bearer " + text))); err != nil && len(text) > 20 && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error contains the token", name)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestTokensThatMakeNoSenseAreRefused(t *testing.T) {
	c := newClock()
	a := open(t, Config{Clock: c.now})
	for name, tk := range map[string]Token{
		"nobody": {Role: Admin}, "no role": {Principal: "a"}, "another role": {Principal: "a", Role: "root"}, "local": {Principal: Local, Role: Reader},
		"anonymous": {Principal: Anonymous, Role: Reader}, "space": {Principal: " a", Role: Reader}, "line": {Principal: "a\nb", Role: Reader}, "past": {Principal: "a", Role: Reader, Expires: c.now()},
		"for ever": {Principal: "a", Role: Reader, Expires: c.now().Add(MaxTokenLife + time.Second)}, "lines": {Principal: "a", Role: Reader, Name: "x\ny"},
	} {
		if _, _, err := a.NewToken(t.Context(), tk); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := a.Tokens(t.Context()); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
}

func TestTheUseOfATokenIsWrittenOnceInAnHour(t *testing.T) {
	c := newClock()
	a := open(t, Config{Clock: c.now})
	text := token(t, a, "ci", Reader)
	var seen []time.Time
	for range 4 {
		if _, err := a.Authenticate(request("Bearer " + text)); err != nil {
			t.Fatal(err)
		}
		list, err := a.Tokens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, list[0].Used)
		c.add(25 * time.Minute)
	}
	if !seen[0].Equal(seen[1]) || !seen[1].Equal(seen[2]) || !seen[3].Equal(seen[0].Add(75*time.Minute)) {
		t.Error(seen)
	}
}

func TestThePersonAtTheMachineIsAdminUntilSomebodyIsConfigured(t *testing.T) {
	here := func(change func(*http.Request)) *http.Request {
		r := httptest.NewRequest("POST", "http://localhost:5000/api/v1/imports", nil)
		r.RemoteAddr = "127.0.0.1:4711"
		if change != nil {
			change(r)
		}
		return r
	}
	a := open(t, Config{Loopback: true})
	for _, host := range []string{"localhost:5000", "LOCALHOST", "127.0.0.1:5000", "[::1]:5000", "127.8.8.8"} {
		p, err := a.Authenticate(here(func(r *http.Request) { r.Host = host }))
		if want := (Principal{Name: Local, Role: Admin, Via: ViaLoopback}); p != want || err != nil {
			t.Errorf("%s: %+v %v", host, p, err)
		}
	}
	if _, err := a.Authenticate(here(func(r *http.Request) { r.RemoteAddr = "[::ffff:127.0.0.1]:1" })); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*http.Request){
		"another machine":    func(r *http.Request) { r.RemoteAddr = "192.0.2.1:99" },
		"a rebound name":     func(r *http.Request) { r.Host = "evil.example:5000" },
		"a name with ours":   func(r *http.Request) { r.Host = "localhost.evil.example" },
		"a proxy":            func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
		"another proxy":      func(r *http.Request) { r.Header.Set("Forwarded", "for=192.0.2.1") },
		"nginx as it comes":  func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0 },
		"Cloudflare":         func(r *http.Request) { r.Header.Set("CF-Connecting-IP", "192.0.2.1") },
		"Akamai":             func(r *http.Request) { r.Header.Set("True-Client-IP", "192.0.2.1") },
		"Apache":             func(r *http.Request) { r.Header.Set("X-Client-IP", "192.0.2.1") },
		"Azure":              func(r *http.Request) { r.Header.Set("X-Azure-SocketIP", "192.0.2.1") },
		"Envoy":              func(r *http.Request) { r.Header.Set("X-Envoy-External-Address", "192.0.2.1") },
		"AWS":                func(r *http.Request) { r.Header.Set("X-Amzn-Trace-Id", "Root=1-2-3") },
		"a network":          func(r *http.Request) { r.Header.Set("CDN-Loop", "example") },
		"a proxy by RFC":     func(r *http.Request) { r.Header.Set("Via", "1.1 example") },
		"an empty header":    func(r *http.Request) { r.Header.Set("X-Forwarded-For", "") },
		"a proxy with TLS":   func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") },
		"a peer without one": func(r *http.Request) { r.RemoteAddr = "@" },
	} {
		if p, err := a.Authenticate(here(change)); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	token(t, a, "ci", Reader)
	_, err := a.Authenticate(here(nil))
	wantKind(t, err, fault.Denied)
	list, _ := a.Tokens(t.Context())
	if err := a.RevokeToken(t.Context(), "root", list[0].ID); err != nil {
		t.Fatal(err)
	}
	// The same holds when the last token has ended, and for a server that starts after that.
	again := open(t, Config{DB: a.db, Vault: a.vault, Loopback: true})
	for _, a := range []*Access{a, again} {
		_, err = a.Authenticate(here(nil))
		wantKind(t, err, fault.Denied)
	}

	_, err = open(t, Config{}).Authenticate(here(nil))
	wantKind(t, err, fault.Denied)
	_, err = open(t, Config{Loopback: true, Htpasswd: users(t, "alice", "secret")}).Authenticate(here(nil))
	wantKind(t, err, fault.Denied)
}

func TestADatabaseThatLosesItsTokensOpensNoDoor(t *testing.T) {
	here := func() *http.Request {
		r := httptest.NewRequest("POST", "http://localhost:5000/api/v1/imports", nil)
		r.RemoteAddr = "127.0.0.1:4711"
		return r
	}
	for what, lose := range map[string]func(a *Access) *store.DB{
		"emptied": func(a *Access) *store.DB {
			_, _ = a.db.ExecContext(t.Context(), "DELETE FROM access_tokens")
			return a.db
		},
		"replaced": func(*Access) *store.DB { return database(t) },
	} {
		t.Run(what, func(t *testing.T) {
			c := Config{Loopback: true, Vault: testVault(t), Marker: filepath.Join(t.TempDir(), "has-tokens")}
			a := open(t, c)
			if _, err := a.Authenticate(here()); err != nil || a.Lost() {
				t.Fatal(err, a.Lost())
			}
			token(t, a, "ci", Reader)
			c.DB = lose(a)
			again := open(t, c)
			_, err := again.Authenticate(here())
			wantKind(t, err, fault.Denied)
			if !again.Lost() || !strings.Contains(fault.HintOf(err), "token create") {
				t.Errorf("%v (%s)", err, fault.HintOf(err))
			}
			r := here()
			r.Header.Set("Authorization", "Bearer "+token(t, again, "admin", Admin))
			if p, err := again.Authenticate(r); err != nil || !p.Admin() || again.Lost() {
				t.Errorf("after a new token: %+v %v", p, err)
			}
		})
	}
	// A server of an older dray, which has tokens and no marker, gets one when it starts.
	c := Config{Loopback: true, DB: database(t), Vault: testVault(t)}
	token(t, open(t, c), "ci", Reader)
	c.Marker = filepath.Join(t.TempDir(), "has-tokens")
	open(t, c)
	if _, err := os.Lstat(c.Marker); err != nil {
		t.Error(err)
	}
	// Without the right to write the marker, no token is created.
	c = Config{Loopback: true, Marker: filepath.Join(t.TempDir(), "missing", "has-tokens")}
	a := open(t, c)
	_, _, err := a.NewToken(t.Context(), Token{Principal: "ci", Role: Reader, By: "root"})
	wantKind(t, err, fault.Unavailable)
	if all, _ := a.Tokens(t.Context()); len(all) != 0 {
		t.Errorf("%d tokens", len(all))
	}
}

func TestWithoutCredentialsNobodyComesInUnlessARuleNamesAnonymous(t *testing.T) {
	a := open(t, Config{Rules: []Rule{{Principals: []string{"*"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: Rights}}})
	_, err := a.Authenticate(request(""))
	wantKind(t, err, fault.Denied)
	a = open(t, Config{Rules: []Rule{
		{Principals: []string{"*"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: Rights},
		{Principals: []string{Anonymous}, Verbs: []string{"pull"}, Sources: []string{"reg.example/public/**"}, Rights: Rights},
	}})
	p, err := a.Authenticate(request(""))
	if err != nil || p.Name != Anonymous || p.Admin() {
		t.Fatalf("%+v %v", p, err)
	}
	if err := a.Allow(p, Ask{Verb: "pull", Source: "reg.example/public/x"}); err != nil {
		t.Error(err)
	}
	for _, ask := range []Ask{
		{Verb: "pull", Source: "reg.example/private/x"}, {Verb: "pull", Source: "reg.example/public/x", Write: Mount},
		{Verb: "import", Target: "reg.example/public/x", Write: Create},
	} {
		wantKind(t, a.Allow(p, ask), fault.Denied)
	}
	// A request with wrong credentials is not anonymous.
	for _, h := range []string{"Bearer nonsense", "Basic " + basic("a", "b"), "Negotiate abc", "x"} {
		_, err := a.Authenticate(request(h))
		wantKind(t, err, fault.Denied)
	}
	r := request("Bearer a")
	r.Header.Add("Authorization", "Bearer b")
	_, err = a.Authenticate(r)
	wantKind(t, err, fault.Denied)
}

func TestADatabaseThatIsGoneLetsNobodyIn(t *testing.T) {
	a := open(t, Config{Loopback: true})
	text := token(t, a, "ci", Admin)
	a.db.DB.Close()
	if p, err := a.Authenticate(request("Bearer " + text)); err == nil || p != (Principal{}) {
		t.Errorf("%+v %v", p, err)
	}
	fresh := &Access{db: a.db, loopback: true, clock: time.Now, used: map[string]time.Time{}}
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	r.RemoteAddr = "127.0.0.1:1"
	if p, err := fresh.Authenticate(r); err == nil || p != (Principal{}) {
		t.Errorf("%+v %v", p, err)
	}
}

func TestManyUseAndMakeTokensAtOnce(t *testing.T) {
	a := open(t, Config{})
	text := token(t, a, "ci", Submitter)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10 {
				if _, err := a.Authenticate(request("Bearer " + text)); err != nil {
					t.Error(err)
				}
			}
			token(t, a, "other", Reader)
		})
	}
	wg.Wait()
	if err := a.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if entries, err := a.Entries(t.Context(), 0, 0); len(entries) != 17 || err != nil {
		t.Error(len(entries), err)
	}
}

// audit writes one entry in its own transaction.
func audit(ctx context.Context, a *Access, e Entry) error {
	return a.db.Tx(ctx, func(tx *sql.Tx) error { return a.Audit(ctx, tx, e) })
}

func writeFile(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// Whoever calls has no login yet, so the error says nothing about the database.
func TestAuthenticateWithoutADatabase(t *testing.T) {
	a := open(t, Config{})
	key, _, err := a.NewToken(t.Context(), Token{Principal: "ci", Role: Admin})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = a.Authenticate(request("Bearer " + key.Reveal()))
	if !fault.Is(err, fault.Unavailable) || !strings.HasSuffix(err.Error(), "unavailable: the database of the server does not answer") {
		t.Error(err)
	}
}
