package access

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

func key(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, keySize)) }

func withKeys(tb testing.TB, keys ...string) *Vault {
	tb.Helper()
	v, err := OpenVault(tb.Context(), KeySource{Env: strings.Join(keys, ",")})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestWhatIsSealedOpensUnderItsNameAlone(t *testing.T) {
	v := withKeys(t, key(1))
	sealed, err := v.Seal([]byte("canary-7f3a91"), "job 1")
	if err != nil || bytes.Contains(sealed, []byte("canary")) {
		t.Fatal(err)
	}
	if plain, err := v.Open(sealed, "job 1"); err != nil || string(plain) != "canary-7f3a91" {
		t.Fatal(string(plain), err)
	}
	again, _ := v.Seal([]byte("canary-7f3a91"), "job 1")
	if bytes.Equal(sealed, again) {
		t.Error("two seals of the same text are equal")
	}
	wantKind(t, errOf(v.Open(sealed, "job 2")), fault.Denied)
	wantKind(t, errOf(withKeys(t, key(2)).Open(sealed, "job 1")), fault.Denied)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := v.Open(bad, "job 1"); !fault.Is(err, fault.Denied) {
			t.Fatalf("byte %d: %v", i, err)
		}
		wantKind(t, errOf(v.Open(sealed[:i], "job 1")), fault.Denied)
	}
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	old := withKeys(t, key(1))
	sealed, err := old.Seal([]byte("x"), "a")
	if err != nil {
		t.Fatal(err)
	}
	both := withKeys(t, key(2), key(1))
	if plain, err := both.Open(sealed, "a"); err != nil || string(plain) != "x" {
		t.Fatal(err)
	}
	fresh, err := both.Seal([]byte("y"), "a")
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, errOf(old.Open(fresh, "a")), fault.Denied)
	if plain, err := withKeys(t, key(2)).Open(fresh, "a"); err != nil || string(plain) != "y" {
		t.Fatal(err)
	}
}

func TestTheKeyFileIsMadeOnceAndForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "secrets.key")
	_, err := OpenVault(t.Context(), KeySource{File: path, Missing: RefuseKey})
	wantKind(t, err, fault.Invalid)
	var wg sync.WaitGroup
	vaults := make([]*Vault, 8)
	for i := range vaults {
		wg.Go(func() {
			v, err := OpenVault(t.Context(), KeySource{File: path})
			if err != nil {
				t.Error(err)
			}
			vaults[i] = v
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed, _ := vaults[0].Seal([]byte("x"), "a")
	for _, v := range vaults {
		if _, err := v.Open(sealed, "a"); err != nil {
			t.Error("two keys were created", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Error(left)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = OpenVault(t.Context(), KeySource{File: path})
	wantKind(t, err, fault.Invalid)
}

func TestAKeyComesFromOneUsablePlace(t *testing.T) {
	v, err := OpenVault(t.Context(), KeySource{Command: []string{"printf", `# newest first\n%s\n\n%s\n`, key(2), key(1)}})
	if err != nil || len(v.keys) != 2 || v.keys[0].id != withKeys(t, key(2)).keys[0].id {
		t.Fatal(v, err)
	}
	secret := base64.StdEncoding.EncodeToString([]byte("canary-7f3a91"))
	for name, s := range map[string]KeySource{
		"nothing": {}, "two": {Env: key(1), File: "x"}, "short": {Env: secret}, "text": {Env: "canary-7f3a91"}, "empty": {Env: ","},
		"a command that fails": {Command: []string{"sh", "-c", "echo canary-7f3a91; echo canary-7f3a91 >&2; exit 1"}}, "no command": {Command: []string{"/nowhere/x"}},
		"a command that prints none": {Command: []string{"true"}},
	} {
		_, err := OpenVault(t.Context(), s)
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoredLoginsGoToTheirPlaceAlone(t *testing.T) {
	a := open(t, Config{})
	ctx := t.Context()
	put := func(id, where, password string) {
		t.Helper()
		if err := a.PutSecret(ctx, "root", id, where, credential.Login{User: "u", Password: credential.New(password)}); err != nil {
			t.Fatal(err)
		}
	}
	put("host", "Reg.example:5000", "of the host")
	put("team", "reg.example:5000/team", "of the team")
	put("hub", "docker.io", "of the hub")
	for repo, want := range map[ref.Repo]string{
		{Host: "reg.example:5000", Path: "x"}: "of the host", {Host: "reg.example:5000", Path: "team"}: "of the team", {Host: "reg.example:5000", Path: "team/a/b"}: "of the team",
		{Host: "reg.example:5000", Path: "teams/a"}: "of the host", {Host: "reg.example", Path: "team"}: "", {Host: "docker.io", Path: "library/nginx"}: "of the hub", {Host: "reg.example:5000"}: "of the host",
	} {
		l, ok, err := a.Lookup(ctx, repo)
		if err != nil || ok != (want != "") || ok && (l.Password.Reveal() != want || l.User != "u" || !strings.HasPrefix(l.From, "secret ")) {
			t.Errorf("%s: %v %t %v", repo, l, ok, err)
		}
	}
	put("hub", "docker.io", "changed")
	if l, err := (credential.Chain{a.Lookup}).For(ctx, ref.Repo{Host: "docker.io", Path: "a"}); err != nil || l.Password.Reveal() != "changed" {
		t.Error(l, err)
	}
	wantKind(t, a.PutSecret(ctx, "root", "other", "docker.io", credential.Login{User: "u", Password: credential.New("p")}), fault.Conflict)
	wantKind(t, a.PutSecret(ctx, "root", "Other", "a.example", credential.Login{User: "u", Password: credential.New("p")}), fault.Invalid)
	wantKind(t, a.PutSecret(ctx, "root", "other", "https://a.example", credential.Login{User: "u", Password: credential.New("p")}), fault.Invalid)
	wantKind(t, a.PutSecret(ctx, "root", "other", "a.example", credential.Login{}), fault.Invalid)
	list, err := a.Secrets(ctx)
	if err != nil || len(list) != 3 || list[1].ID != "hub" && list[0].ID != "host" {
		t.Error(list, err)
	}
	// A person who can write to the database cannot move a secret to another place: it does not open
	// there.
	if _, err := a.db.ExecContext(ctx, `UPDATE access_secrets SET place = 'evil.example' WHERE id = 'hub'`); err != nil {
		t.Fatal(err)
	}
	_, _, err = a.Lookup(ctx, ref.Repo{Host: "evil.example", Path: "a"})
	wantKind(t, err, fault.Denied)
	if err := a.DeleteSecret(ctx, "root", "host"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, a.DeleteSecret(ctx, "root", "host"), fault.NotFound)
	if _, ok, err := a.Lookup(ctx, ref.Repo{Host: "reg.example:5000", Path: "x"}); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestThePlaceOfALoginIsReadAsNamesOfRegistriesAre(t *testing.T) {
	hosts := map[string]string{"prod": "reg.example:5000", "live": "reg.example:5000", "old.example": "reg.example:5000"}
	login := credential.Login{User: "u", Password: credential.New("p")}
	for where, want := range map[string]string{
		"prod": "reg.example:5000", "live": "reg.example:5000", "prod/team": "reg.example:5000/team", "old.example": "reg.example:5000",
		"Old.Example/team/": "reg.example:5000/team", "docker://prod": "reg.example:5000", "other.example": "other.example", "localhost": "localhost",
		"prd": "", "Prod": "", "team/app": "", "prod:5000": "prod:5000",
	} {
		a := open(t, Config{Hosts: hosts})
		err := a.PutSecret(t.Context(), "root", "a", where, login)
		if want == "" {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "is neither a configured registry nor a host") {
				t.Errorf("%s: %v", where, err)
			}
			continue
		}
		all, listed := a.Secrets(t.Context())
		if err != nil || listed != nil || len(all) != 1 || all[0].Place != want {
			t.Errorf("%s: %v, %v, %v", where, all, err, listed)
		}
	}
}

func TestAKeyIsChangedByListingTwo(t *testing.T) {
	db := database(t)
	repo := ref.Repo{Host: "a.example", Path: "x"}
	a := open(t, Config{DB: db, Vault: withKeys(t, key(1))})
	if err := a.PutSecret(t.Context(), "root", "a", "a.example", credential.Login{User: "u", Password: credential.New("p")}); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{DB: db, Vault: withKeys(t, key(2))})
	wantKind(t, err, fault.Conflict)
	open(t, Config{DB: db, Vault: withKeys(t, key(2), key(1))})
	a = open(t, Config{DB: db, Vault: withKeys(t, key(2))})
	if l, ok, err := a.Lookup(t.Context(), repo); !ok || err != nil || l.Password.Reveal() != "p" {
		t.Error(l, ok, err)
	}
	_, err = Open(t.Context(), Config{DB: db, Vault: withKeys(t, key(1))})
	wantKind(t, err, fault.Conflict)
}
