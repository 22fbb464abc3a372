//go:build unix

package credential

// These tests write credential helpers as shell scripts.

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// script puts a shell script docker-credential-NAME on PATH.
func script(t *testing.T, name, body string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, helperPrefix+name), []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return dir
}

// vault is a helper that works. It stores each server in a file next to the script, and its calls in the file
// "calls".
const vault = `
here=$(dirname "$0"); in=$(cat)
case $1 in
store) server=$(printf %s "$in" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/') ;;
*) server=$in ;;
esac
slot="$here/slot-$(printf %s "$server" | tr -c 'a-z0-9.\n' _)"
echo "$1 $server" >>"$here/calls"
case $1 in
store) printf %s "$in" >"$slot" ;;
get) cat "$slot" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm "$slot" ;;
esac
`

func calls(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func TestHelpersAreAskedBeforeThePlainLogins(t *testing.T) {
	dir := script(t, "vault", vault)
	b := newBox(t)
	b.write(`{"auths": {`+auth("plain.example", "file:p")+`, `+auth("off.example", "file:p")+`, "a.example": {}},
		"credsStore": "vault", "credHelpers": {"off.example": ""}}`, ".docker", "config.json")
	put := func(server, user, secret string) {
		if err := (helper{name: "vault"}).store(t.Context(), server, Login{User: user, Password: New(secret)}); err != nil {
			t.Fatal(err)
		}
	}
	put("a.example", "u", "p")
	put("token.example", helperToken, "idt")
	put(hubServer, "hub", "p")
	put("off.example", "vault", "p")
	from := "credential helper docker-credential-vault (docker config " + filepath.Join("~", ".docker", "config.json") + ")"
	for name, want := range map[string]Login{
		"a.example/x":     {User: "u", Password: New("p"), From: from},
		"token.example/x": {Scheme: Refresh, Password: New("idt"), From: from},
		"nginx":           {User: "hub", Password: New("p"), From: from},
		"other.example/x": {},
	} {
		if got := b.login(name); got != want {
			t.Errorf("%s: %v (%s)", name, got, got.From)
		}
	}
	for _, name := range []string{"plain.example/x", "off.example/x"} {
		if got := b.login(name); got.User != "file" {
			t.Errorf("%s: %v", name, got)
		}
	}
	before := calls(t, dir)
	c := b.files.Lookups()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if l, err := c.For(t.Context(), repo(t, "a.example/x")); l.User != "u" || err != nil {
				t.Error(l, err)
			}
		})
	}
	wg.Wait()
	if got := strings.TrimPrefix(calls(t, dir), before); got != "get a.example\n" {
		t.Errorf("a helper was called more than once for one registry:\n%s", got)
	}
}

// F-32 in docs/faults.md.
func TestAHelperInTroubleIsNamedAndNotQuoted(t *testing.T) {
	for body, cause := range map[string]string{
		"echo " + canary:          "its answer is not the JSON of a credential helper",
		"true":                    "its answer is not the JSON of a credential helper",
		`echo '{"Username":"u"}'`: "its answer is not the JSON of a credential helper",
		"echo " + canary + "; echo " + canary + " >&2; exit 3": "exit status 3",
		"head -c 2000000 /dev/zero":                            "its answer is longer than 1 MiB",
		"kill -9 $$":                                           "signal: killed",
	} {
		script(t, "sick", body)
		b := newBox(t)
		b.write(`{"credHelpers": {"a.example": "sick"}}`, ".docker", "config.json")
		err := b.fails("a.example/x")
		want := "find a login for a.example: use docker config " + filepath.Join("~", ".docker", "config.json") +
			": ask credential helper docker-credential-sick to get: denied: " + cause
		if err.Error() != want || !fault.Is(err, fault.Denied) || fault.HintOf(err) == "" {
			t.Errorf("%s:\ngot  %v\nwant %s", body, err, want)
		}
		if l := b.login("b.example/x"); l != (Login{}) {
			t.Error("a helper for another registry was used:", l)
		}
	}
	b := newBox(t)
	b.write(`{"credsStore": "absent-from-path"}`, ".docker", "config.json")
	if err := b.fails("a.example/x"); !fault.Is(err, fault.Denied) || !strings.HasSuffix(err.Error(), "docker-credential-absent-from-path to get: denied: not on PATH") {
		t.Error(err)
	}
	b.write(`{"credsStore": "../../evil"}`, ".docker", "config.json")
	if err := b.fails("a.example/x"); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	script(t, "chatty", `echo "Error: Credentials not found in native keychain" >&2; exit 1`)
	b.write(`{"credsStore": "chatty"}`, ".docker", "config.json")
	if l := b.login("a.example/x"); l != (Login{}) {
		t.Error(l)
	}
}

func TestAHelperThatHangsIsCutAlsoWhenItsChildLivesOn(t *testing.T) {
	for _, body := range []string{"exec sleep 30", "sleep 3 & wait"} {
		script(t, "slow", body)
		b := newBox(t)
		b.files.HelperTimeout = 200 * time.Millisecond
		b.write(`{"credsStore": "slow"}`, ".docker", "config.json")
		start := time.Now()
		if err := b.fails("a.example/x"); !fault.Is(err, fault.Denied) || !strings.HasSuffix(err.Error(), "no answer in time") {
			t.Error(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: cut after %v", body, took)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	script(t, "slow", "exec sleep 30")
	if _, _, err := Helper("slow")(ctx, ref.Repo{Host: "a.example"}); !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
}

func TestEverySchemeThatIsSavedIsReadBack(t *testing.T) {
	bearer := jwt(`{"access":[]}`)
	script(t, "vault", vault)
	for _, config := range []string{"{}", `{"credsStore": "vault"}`} {
		b := newBox(t)
		b.write(config, ".docker", "config.json")
		for _, l := range []Login{
			{User: "u", Password: New("p:\"\\é")}, {Scheme: Refresh, Password: New("idt")}, {Scheme: Bearer, Password: New(bearer)},
		} {
			if _, err := b.files.Save(t.Context(), "docker.io", l); err != nil {
				t.Fatal(err)
			}
			got := b.login("nginx")
			got.From = ""
			if got != l {
				t.Errorf("%s: %v came back as %v", config, l, got)
			}
		}
		for _, l := range []Login{{}, {User: "u"}, {Password: New("p")}, {User: "u:v", Password: New("p")}, {Scheme: Exchange, Password: New("x")}, {Scheme: Bearer, Password: New("opaque-canary-7f3a91")}} {
			if _, err := b.files.Save(t.Context(), "reg.example", l); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
				t.Error(l, err)
			}
		}
	}
}

func TestALoginGoesIntoTheHelperAndNoPlainOneStaysBehind(t *testing.T) {
	dir := script(t, "vault", vault)
	b := newBox(t)
	path := b.write(`{"auths": {`+auth("docker.io", "stale:"+canary)+`}, "credsStore": "vault"}`, ".docker", "config.json")
	where, err := b.files.Save(t.Context(), "index.docker.io", Login{User: "u", Password: New("p")})
	if where != (Place{Name: "credential helper docker-credential-vault"}) || err != nil {
		t.Fatal(where, err)
	}
	if got := read(t, path); strings.Contains(got, b64("stale:"+canary)) || !strings.Contains(got, `"credsStore": "vault"`) {
		t.Error(got)
	}
	if got := b.login("nginx"); got.User != "u" {
		t.Error(got)
	}
	from, removed, err := b.files.Erase(t.Context(), "docker.io")
	if from != where || !removed || err != nil || b.login("nginx") != (Login{}) {
		t.Error(from, removed, err)
	}
	if _, removed, err = b.files.Erase(t.Context(), "docker.io"); removed || err != nil {
		t.Error(removed, err)
	}
	if got := calls(t, dir); !strings.HasPrefix(got, "store "+hubServer+"\n") || strings.Count(got, "erase") != 1 {
		t.Error(got)
	}
	script(t, "broken", "exit 1")
	b.write(`{"credsStore": "broken"}`, ".docker", "config.json")
	if _, err := b.files.Save(t.Context(), "reg.example", Login{User: "u", Password: New(canary)}); !fault.Is(err, fault.Denied) || strings.Contains(err.Error(), canary) {
		t.Error(err)
	}
}

func TestAHelperThatLeavesAChildBehindHasAnswered(t *testing.T) {
	script(t, "daemon", `cat >/dev/null; echo '{"Username":"u","Secret":"p"}'; sleep 2 &`)
	start := time.Now()
	l, ok, err := Helper("daemon")(t.Context(), ref.Repo{Host: "a.example"})
	if l.User != "u" || !ok || err != nil || time.Since(start) > 1500*time.Millisecond {
		t.Error(l, ok, err, time.Since(start))
	}
}

func TestACanceledQuestionIsAskedAgain(t *testing.T) {
	script(t, "vault", vault)
	b := newBox(t)
	b.write(`{"credsStore": "vault"}`, ".docker", "config.json")
	if _, err := b.files.Save(t.Context(), "a.example", Login{User: "u", Password: New("p")}); err != nil {
		t.Fatal(err)
	}
	c := b.files.Lookups()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.For(ended, repo(t, "a.example/x")); !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
	if l, err := c.For(t.Context(), repo(t, "a.example/x")); l.User != "u" || err != nil {
		t.Error(l, err)
	}
}

func TestAByteOrderMarkBeforeAHelpersAnswerIsPassedOver(t *testing.T) {
	script(t, "marked", `printf '\357\273\277{"Username":"h","Secret":"s"}' `+"\n")
	got, ok, err := Helper("marked")(t.Context(), ref.Repo{Host: "reg.example"})
	if got.User != "h" || !ok || err != nil {
		t.Error(got, ok, err)
	}
}
