package storm

import (
	"net/http"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

// page is what a proxy or a portal answers in place of a registry.
const page = `<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action="/login"></form></body></html>`

const (
	token    = testbed.Token
	manifest = testbed.Manifest
	blob     = testbed.Blob
	upload   = testbed.Upload
	post     = http.MethodPost
	patch    = http.MethodPatch
	put      = http.MethodPut
	get      = http.MethodGet
	head     = http.MethodHead
)

// status answers a code in the form of the specification.
func status(code int, name string) *hostile.Fault { return hostile.Error(code, name, "not today") }

// bare answers a code without a body.
func bare(code int) *hostile.Fault { return hostile.Status(code, nil, "") }

// webpage answers with the page of a proxy.
func webpage(code int) *hostile.Fault {
	return hostile.Status(code, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, page)
}

// unread is why a report may have more bytes than the target.
const unread = "the target answers before it has read what was sent"
