package remote_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/oci"
)

func TestLocksAreListedAndSetByAzuresAPIAlone(t *testing.T) {
	shelf := &beside.Shelf{Repo: "team/app", Page: 2, TB: t}
	for _, tag := range []string{"v1", "v2", "v3", "v4", "v5"} {
		shelf.Rows = append(shelf.Rows, beside.Row{Digest: "sha256:" + oci.Sum([]byte(tag)).Encoded(), Tags: []string{tag}})
	}
	shelf.Lock("v2", "readEnabled", false)
	shelf.Lock("v5", "deleteEnabled", false)
	shelf.Lock("v5", "listEnabled", false)
	reg := testbed.Serve(t, shelf.ACR(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR}})
	r := client(t, withLogin, withHost(reg, credential.Settings{Kind: "acr"})).Open(repo(reg, "team/app"), remote.Use{Actions: remote.Push})
	must(t, r.Lock(t.Context(), "v3", oci.Locks{Delete: true, Write: true}))
	got := map[string]string{}
	must(t, r.Locks(t.Context(), func(tag string, l oci.Locks) error { got[tag] = l.String(); return nil }))
	if len(got) != 3 || got["v2"] != "read" || got["v5"] != "delete,list" || got["v3"] != "delete,write" {
		t.Errorf("%v", got)
	}
	wantKind(t, r.Lock(t.Context(), "v9", oci.Locks{Write: true}), fault.NotFound)
	stop := io.EOF
	if err := r.Locks(t.Context(), func(string, oci.Locks) error { return stop }); err != stop { //nolint:errorlint // the very same value
		t.Errorf("%v", err)
	}
	other := testbed.Distribution(t, testbed.Options{})
	r = client(t).Open(repo(other, "app"), remote.Use{Actions: remote.Push})
	wantKind(t, r.Lock(t.Context(), "v1", oci.Locks{Write: true}), fault.Refused)
	wantKind(t, r.Locks(t.Context(), nil), fault.Refused)
	if other.Requests() != 0 {
		t.Error(other.Story())
	}
}

func TestALockThatTheAnswerDoesNotConfirmIsAnError(t *testing.T) {
	for _, body := range []string{`{"tag":{"changeableAttributes":{"deleteEnabled":false,"writeEnabled":true}}}`, `{}`, `[`} {
		reg := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }), testbed.Options{})
		r := client(t, withHost(reg, credential.Settings{Kind: "acr"})).Open(repo(reg, "team/app"), remote.Use{Actions: remote.Push})
		wantKind(t, r.Lock(t.Context(), "v1", oci.Locks{Delete: true, Write: true}), fault.Unavailable)
	}
}
