package reason

import (
	"net/http"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestOnlyAWrongNameIsInvalid(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   fault.Kind
	}{
		{204, "", fault.Refused}, {206, "", fault.Refused}, {400, "", fault.Refused}, {400, "UNSUPPORTED", fault.Refused},
		{405, "", fault.Refused}, {406, "", fault.Refused}, {415, "", fault.Refused}, {501, "", fault.Refused},
		{400, "NAME_INVALID", fault.Invalid}, {400, "TAG_INVALID", fault.Invalid},
		{404, "NAME_INVALID", fault.NotFound}, {500, "", fault.Unavailable},
	} {
		if got := KindOf(tt.status, tt.code, ""); got != tt.want {
			t.Errorf("%d %s: %s, want %s", tt.status, tt.code, got, tt.want)
		}
	}
}

func TestWhatABodySaysIsQuotedOnOneLineWithoutSecrets(t *testing.T) {
	for name, tt := range map[string]struct{ kind, body, want string }{
		"a registry":            {"application/json", `{"errors":[{"code":"DENIED","message":"no\n way"}]}`, "DENIED: no way"},
		"an error in detail":    {"application/json", `{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":"invalid URL on layer"}]}`, "UNKNOWN: invalid URL on layer"},
		"a detail that is data": {"application/json", `{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"a":1}}]}`, "UNKNOWN: unknown error"},
		"a token service":       {"application/json", `{"details":"no such user"}`, "no such user"},
		"an API of Google":      {"application/json", `{"error":{"code":403,"message":"Permission denied"}}`, "Permission denied"},
		"a proxy":               {"application/json", `{"error":"upstream is down"}`, "upstream is down"},
		"a problem":             {"application/problem+json", `{"title":"Busy","detail":"the backup runs"}`, "the backup runs"},
		"a page of nginx":       {"text/html", "<html>\r\n<head><title>405 Not Allowed</title></head>\r\n<body>", "Not Allowed"},
		"a page with marks":     {"text/html; charset=utf-8", "<!DOCTYPE html><title>Blocked &amp; logged</title>", "Blocked & logged"},
		"a page without a type": {"", "<html><title>Sorry</title></html>", "Sorry"},
		"a storage":             {"application/xml", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", "AccessDenied: Request has expired"},
		"text":                  {"text/plain; charset=utf-8", "read only\n", "read only"},
		"text without a type":   {"", "read only\n", "read only"},
		"bytes":                 {"", "\xff\xfe\x00", "Method Not Allowed"},
		"nothing":               {"text/html", "", "Method Not Allowed"},
		"a token":               {"text/plain", "bad header Authorization: Bearer canary.7f3a91", "bad header Authorization: …"},
		"a password":            {"text/plain", "bad header Basic dTpjYW5hcnktN2YzYTkx, from https://u:canary@proxy", "bad header …, from https…proxy"},
		"a JWT":                 {"application/json", `{"message":"token eyJhbGciOi.eyJjYW5hcnki.c2ln is old"}`, "token … is old"},
	} {
		code, text := ProblemsOf(http.Header{"Content-Type": {tt.kind}}, []byte(tt.body)).Quoted()
		if got, want := Quote(405, code, text).Error(), "the registry answers 405 "+tt.want; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
