package remote_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/ref"
)

// F-78: an immutable or locked tag is found before anything is copied.
func TestLocksAreReadInEachRegistrysOwnWay(t *testing.T) {
	t.Run("acr", func(t *testing.T) {
		reg := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR}, Front: acrAttributes})
		r := client(t, withLogin, withHost(reg, credential.Settings{Kind: "acr"})).Open(repo(reg, "team/app"), remote.Use{Actions: remote.Push})
		for tag, want := range map[string]string{"locked": "the tag is locked (writeEnabled=false)", "free": "", "odd": "", "gone": ""} {
			if why, err := r.Locked(t.Context(), tag); why != want || err != nil {
				t.Errorf("%s: %q %v", tag, why, err)
			}
		}
	})
	t.Run("harbor", func(t *testing.T) {
		h := newHarbor(t)
		r := client(t, withLogin, h.settings(credential.CreateNothing)).Open(repo(h.Registry, "lib/team/app"), remote.Use{Actions: remote.Push})
		for tag, want := range map[string]string{"v1": "the tag is immutable (a rule of the project)", "v9": ""} {
			if why, err := r.Locked(t.Context(), tag); why != want || err != nil {
				t.Errorf("%s: %q %v", tag, why, err)
			}
		}
	})
	t.Run("ecr", func(t *testing.T) {
		e := newECR(t)
		r := client(t, e.options(credential.CreateNothing)).Open(ref.Repo{Host: ecrName, Path: "app"}, remote.Use{Actions: remote.Push})
		if why, err := r.Locked(t.Context(), "v1"); why != "the tag is immutable (imageTagMutability of the repository)" || err != nil {
			t.Errorf("%q %v", why, err)
		}
	})
	t.Run("quay", func(t *testing.T) {
		reg := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/repository/team/app/tag/" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
			fmt.Fprintf(w, `{"tags":[{"name":%q,"immutable":true}]}`, r.URL.Query().Get("specificTag"))
		}), testbed.Options{})
		r := client(t, withLogin, withHost(reg, credential.Settings{Kind: "quay"})).Open(repo(reg, "team/app"), remote.Use{Actions: remote.Push})
		if why, err := r.Locked(t.Context(), "v1"); why != "the tag is immutable" || err != nil {
			t.Errorf("%q %v", why, err)
		}
	})
	t.Run("others are not asked", func(t *testing.T) {
		reg := testbed.Distribution(t, testbed.Options{})
		r := client(t).Open(repo(reg, "app"), remote.Use{Actions: remote.Push})
		if why, err := r.Locked(t.Context(), "v1"); why != "" || err != nil || reg.Requests() != 0 {
			t.Errorf("%q %v\n%s", why, err, reg.Story())
		}
	})
}

// acrAttributes is ACR's API for the attributes of tags, without its authentication.
func acrAttributes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tag, ok := strings.CutPrefix(r.URL.Path, "/acr/v1/team/app/_tags/")
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		switch tag {
		case "locked", "free":
			fmt.Fprintf(w, `{"registry":"x","imageName":"team/app","tag":{"name":%q,"changeableAttributes":{"deleteEnabled":true,"writeEnabled":%t,"readEnabled":true,"listEnabled":true}}}`, tag, tag == "free")
		case "odd":
			io.WriteString(w, `[]`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}
