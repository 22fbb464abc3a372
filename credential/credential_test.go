package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	mark "github.com/drayage/dray/internal/testbed/canary"
	"github.com/drayage/dray/ref"
)

const canary = mark.Word

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	type holder struct {
		login  Login // unexported, so that fmt cannot call its methods
		Public *Login
	}
	l := Login{User: "u", Password: New(canary), From: "flag"}
	var out bytes.Buffer
	for _, v := range []any{l, &l, l.Password, &l.Password, holder{l, &l}, []Login{l}, map[Login]Secret{l: l.Password},
		fmt.Errorf("no: %v", l), struct{ Secret }{l.Password}} {
		for _, verb := range "vsqxXdeEfFgGtbcoOUpTwz" {
			for _, flag := range []string{"", "+", "#", " ", "-20"} {
				fmt.Fprintf(&out, "%"+flag+string(verb)+"\n", v)
			}
		}
		fmt.Fprintln(&out, v)
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("x", "login", l, "secret", l.Password, "holder", holder{l, &l}, "list", []any{l, &l})
	}
	for _, v := range []any{l, &l, []Secret{l.Password}, map[string]any{"a": l}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%d", []byte(canary))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret is shown as %s", form)
		}
	}
	if got := fmt.Sprintf("%v %d", l.Password, l.Password); got != "[redacted] [redacted]" {
		t.Error(got)
	}
	if l.Password.Reveal() != canary {
		t.Error("Reveal does not return the secret")
	}
}

func TestErrorsShowNoPartOfWhatWasTyped(t *testing.T) {
	for _, tt := range []struct{ user, password string }{
		{"", canary}, {canary + ":x", canary}, {canary, ""}, {"", `{"accessToken":"` + canary + `"}`},
		{"", `{"` + canary}, {"", canary + "\n" + canary}, {"", "a." + canary + ".c"},
	} {
		_, err := FromPassword(tt.user, tt.password)
		if !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", tt, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %s", err, err, fault.HintOf(err)), canary) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestEqualLoginsAreEqualKeys(t *testing.T) {
	a, b := Login{User: "u", Password: New("p")}, Login{User: "u", Password: New(string([]byte("p")))}
	if a != b || a == (Login{User: "u", Password: New("q")}) {
		t.Error("logins with equal texts are not equal, or others are")
	}
	if (Secret{}) != New("") || !New("").IsZero() || New("").Reveal() != "" || !(Login{}).IsAnonymous() || a.IsAnonymous() {
		t.Error("the empty secret is not the zero Secret")
	}
}

func TestTheFirstLookupThatKnowsAnswers(t *testing.T) {
	repo := ref.Repo{Host: "reg.example", Path: "team/app"}
	none := func(context.Context, ref.Repo) (Login, bool, error) { return Login{}, false, nil }
	broken := func(context.Context, ref.Repo) (Login, bool, error) {
		return Login{}, false, &fault.Fault{Kind: fault.Denied, Op: "ask", Name: "vault"}
	}
	one, two := Login{User: "one"}, Login{User: "two"}
	got, err := Chain{none, Fixed("reg.example", one), Fixed("reg.example", two), broken}.For(t.Context(), repo)
	if got != one || err != nil {
		t.Error(got, err)
	}
	if got, err := (Chain{none}).For(t.Context(), repo); got != (Login{}) || err != nil {
		t.Error(got, err)
	}
	_, err = Chain{broken, Fixed("reg.example", one)}.For(t.Context(), repo)
	if !fault.Is(err, fault.Denied) || err.Error() != "find a login for reg.example: ask vault: denied" {
		t.Error(err)
	}
	if got, err := (Chain{broken}).For(t.Context(), ref.Repo{Host: ref.Layout, Dir: "dir"}); got != (Login{}) || err != nil {
		t.Error("a layout was looked up:", got, err)
	}
}

func TestFixedLoginsHoldBelowTheirPathOnly(t *testing.T) {
	for _, tt := range []struct {
		where, host, path string
		want              bool
	}{
		{"reg.example", "reg.example", "a/b", true},
		{"REG.example/", "reg.example", "a", true},
		{"reg.example", "reg.example:5000", "a", false},
		{"reg.example/team", "reg.example", "team/app", true},
		{"reg.example/team", "reg.example", "team", true},
		{"reg.example/team", "reg.example", "teammate/app", false},
		{"index.docker.io", "docker.io", "library/nginx", true},
	} {
		_, ok, err := Fixed(tt.where, Login{User: "u"})(t.Context(), ref.Repo{Host: tt.host, Path: tt.path})
		if ok != tt.want || err != nil {
			t.Errorf("%+v: %v %v", tt, ok, err)
		}
	}
	if _, _, err := Fixed("not a host", Login{})(t.Context(), ref.Repo{}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestEnvironmentGivesALoginOrSaysWhatIsWrong(t *testing.T) {
	acr := jwt(`{"iss":"Azure Container Registry","grant_type":"refresh_token"}`)
	for _, tt := range []struct {
		env  map[string]string
		want Login
		ok   bool
		err  string
	}{
		{nil, Login{}, false, ""},
		{map[string]string{"DRAY_DST_CREDS": "u:p"}, Login{}, false, ""},
		{map[string]string{"DRAY_SRC_CREDS": "u:p:q"}, Login{User: "u", Password: New("p:q"), From: "env DRAY_SRC_CREDS"}, true, ""},
		{map[string]string{"DRAY_SRC_USERNAME": "u", "DRAY_SRC_PASSWORD": "p\n"}, Login{User: "u", Password: New("p"), From: "env DRAY_SRC_USERNAME"}, true, ""},
		{map[string]string{"DRAY_SRC_PASSWORD": acr}, Login{Scheme: Refresh, Password: New(acr), From: "env DRAY_SRC_PASSWORD"}, true, ""},
		{map[string]string{"DRAY_SRC_USERNAME": "u"}, Login{}, false, "read env DRAY_SRC_USERNAME: read login: invalid: the password is missing"},
		{map[string]string{"DRAY_SRC_CREDS": "u"}, Login{}, false, "read env DRAY_SRC_CREDS: read login: invalid: the password is missing"},
		{map[string]string{"DRAY_SRC_PASSWORD": "p"}, Login{}, false, "read env DRAY_SRC_PASSWORD: read login: invalid: password without user is not a token"},
		{map[string]string{"DRAY_SRC_CREDS": "u:p", "DRAY_SRC_USERNAME": "u"}, Login{}, false, "read env DRAY_SRC_CREDS: invalid: DRAY_SRC_USERNAME or DRAY_SRC_PASSWORD is set as well"},
	} {
		got, ok, err := FromEnv(func(k string) string { return tt.env[k] }, "DRAY_SRC")
		if got != tt.want || ok != tt.ok || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%v: %v %v %v", tt.env, got, ok, err)
		}
	}
	if _, err := ParseCreds("u"); !errors.Is(err, ErrNoPassword) || fault.HintOf(err) != "write USER:PASSWORD, or pass the password separately" {
		t.Error(err)
	}
}
