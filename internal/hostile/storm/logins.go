package storm

import (
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
)

// tokenWith replaces a part of each answer with a token.
func tokenWith(was, is string) *hostile.Fault {
	return hostile.Edit(func(body string) string { return strings.Replace(body, was, is, 1) }).On("", token)
}

// logins has the faults of token services and challenges.
func logins() []Case {
	challenge := func(value string) *hostile.Fault {
		return hostile.Status(401, http.Header{"Www-Authenticate": {value}}, "")
	}
	tokens := func(body string) *hostile.Fault {
		return hostile.Status(200, http.Header{"Content-Type": {"application/json"}}, body).On("", token)
	}
	return []Case{
		recovers(source, "503 twice to a request for a token", bare(503).On("", token).Times(2)).pair(),
		recovers(source, "429 with seconds to a request for a token, once", hostile.TooMany("5").On("", token).Once()),
		recovers(source, "no answer to a request for a token, once", hostile.NoHeader(0).On("", token).Once()),
		recovers(source, "the answer with a token is lost, once", hostile.LoseAnswer().On("", token).Once()),
		recovers(source, "the answer with a token is cut, once", hostile.CutBodyAt(20).On("", token).Once()),
		recovers(source, "a token without a lifetime", tokenWith("\"expires_in\":300,", "")),
		recovers(source, "a token with a lifetime of none", tokenWith(":300", ":0")),
		recovers(source, "a token with a lifetime below none", tokenWith(":300", ":-1")),
		recovers(source, "a token of long ago", tokenWith(`"issued_at":"2`, `"issued_at":"1`)),
		recovers(source, "a token whose lifetime is a text", tokenWith(":300", `:"300"`)),
		fails(source, fault.Unavailable, "500 to each request for a token", bare(500).On("", token)),
		fails(source, fault.Denied, "401 to each request for a token", status(401, "UNAUTHORIZED").On("", token)),
		fails(source, fault.Denied, "403 to each request for a token", status(403, "DENIED").On("", token)),
		fails(source, fault.Invalid, "the token service finds the scope invalid",
			hostile.Status(400, http.Header{"Content-Type": {"application/json"}}, `{"error":"invalid_scope"}`).On("", token)),
		fails(source, fault.Refused, "a web page in place of a token", webpage(200).On("", token)),
		fails(source, fault.Refused, "404 in place of a token service", bare(404).On("", token)),
		fails(source, fault.Refused, "a token service that redirects",
			hostile.RedirectTo("http://"+elsewhere+"/token", 302).On("", token)),
		fails(source, fault.Refused, "a token answer that is no JSON", tokens("token=1234")),
		fails(source, fault.Denied, "a token answer without a token", tokens(`{"expires_in":300}`)),
		fails(source, fault.Refused, "a token answer without end",
			hostile.Edit(func(string) string { return `{"token":"` + strings.Repeat("a", 2<<20) + `"}` }).On("", token)),
		fails(source, fault.Denied, "a token that grants nothing", tokens(`{"token":"none"}`)),
		recovers(source, "a token that lives for an absurd time", tokenWith(":300", ":1e15")),
		fails(source, fault.Refused, "a challenge without a realm", challenge(`Bearer service="testbed"`).On("", manifest)),
		fails(source, fault.Denied, "a challenge of an unknown scheme", challenge("Negotiate").On("", manifest)),
		fails(source, fault.Denied, "401 without a challenge", bare(401).On("", manifest)),
		fails(source, fault.Refused, "the realm is on another host", hostile.RealmTo("http://"+elsewhere+"/token")),
		fails(source, fault.Refused, "the realm has a user in it", hostile.RealmTo("http://me:too@"+sourceHost+"/token")),
		recovers(source, "a token is refused early for a manifest, once", hostile.Early401().On("", manifest).Once()),
		recovers(source, "a token is refused early for a blob, once", hostile.Early401().On(get, blob).Once()).pair(),
		fails(source, fault.Denied, "each token is refused for a blob", hostile.Early401().On(get, blob)),
		fails(source, fault.Denied, "403 to each blob", status(403, "DENIED").On(get, blob)),

		recovers(target, "503 twice to a request for a token", bare(503).On("", token).Times(2)),
		recovers(target, "a token is refused early when an upload begins, once",
			hostile.Early401().On(post, upload).Once()),
		recovers(target, "a token is refused early when an upload ends, once",
			hostile.Early401().On(put, upload).Once()).unequal(unread).pair(),
		recovers(target, "a token is refused early for a manifest, once",
			hostile.Early401().On(put, manifest).Once()).unequal(unread).pair(),
		recovers(target, "a token is refused early in the midst of pieces, once",
			hostile.Early401().On(patch, upload).Nth(2)).pieces().unequal(unread),
		recovers(target, "the answer with a token stalls, once", hostile.NoHeader(20*time.Second).On("", token).Once()),
		fails(target, fault.Denied, "401 to each request for a token", status(401, "UNAUTHORIZED").On("", token)),
		fails(target, fault.Denied, "each token is refused for uploads", hostile.Early401().On(post, upload)),
		fails(target, fault.Denied, "403 to each upload", status(403, "DENIED").On(post, upload)),
		fails(target, fault.Denied, "403 when each upload ends", status(403, "DENIED").On(put, upload)),
		fails(target, fault.Denied, "403 to each manifest", status(403, "DENIED").On(put, manifest)).pair(),
	}
}
