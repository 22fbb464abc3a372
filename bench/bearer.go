package main

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// bearer is a registry that requires a token for each repository and action, and gives one to
// everybody who asks for it (distribution's token specification). A token contains its scopes.
type bearer struct{ next http.Handler }

func (b bearer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		scopes := strings.Join(r.URL.Query()["scope"], " ")
		answer(w, map[string]any{"token": base64.RawURLEncoding.EncodeToString([]byte(scopes)), "expires_in": 300})
		return
	}
	need := needed(r)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	scopes, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil && token != "" && covers(string(scopes), need) {
		b.next.ServeHTTP(w, r)
		return
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	challenge := `Bearer realm="` + scheme + "://" + r.Host + `/token",service="` + r.Host + `"`
	if need != (scope{}) {
		challenge += `,scope="repository:` + need.repo + ":" + need.actions + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
}

// scope is what a request requires. The actions are in the order in which the tools write them.
type scope struct{ repo, actions string }

func needed(r *http.Request) scope {
	e := parse(r.URL.Path)
	switch {
	case e.repo == "":
		return scope{}
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return scope{e.repo, "pull"}
	}
	return scope{e.repo, "pull,push"}
}

func covers(scopes string, need scope) bool {
	if need == (scope{}) {
		return true
	}
	for s := range strings.FieldsSeq(scopes) {
		actions, ok := strings.CutPrefix(s, "repository:"+need.repo+":")
		if !ok {
			continue
		}
		have := strings.Split(actions, ",")
		for a := range strings.SplitSeq(need.actions, ",") {
			ok = ok && contains(have, a)
		}
		if ok {
			return true
		}
	}
	return false
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one || s == "*" {
			return true
		}
	}
	return false
}
