package server_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// The gate checks a mount in the query. distribution would also read it from a form in the body, and
// prefer the form.
func TestAMountIsNotHiddenInTheBody(t *testing.T) {
	r := guarded(t)
	r.pushBlob("admin", "other/app", "hidden")
	dgst := digest.FromString("hidden").String()
	form := url.Values{"mount": {dgst}, "from": {"other/app"}}.Encode()
	parts := "--b\r\nContent-Disposition: form-data; name=\"mount\"\r\n\r\n" + dgst + "\r\n--b\r\nContent-Disposition: form-data; name=\"from\"\r\n\r\nother/app\r\n--b--\r\n"
	for contentType, body := range map[string]string{"application/x-www-form-urlencoded": form, "multipart/form-data; boundary=b": parts} {
		for _, query := range []string{"", "?mount=" + dgst + "&from=team/app"} {
			got := r.as("changer", "POST", "/v2/team/new/blobs/uploads/"+query, strings.NewReader(body), "Content-Type: "+contentType).StatusCode
			if got != 202 {
				t.Errorf("%s %q: %d", contentType, query, got)
			}
		}
	}
	if got := r.as("changer", "GET", "/v2/team/new/blobs/"+dgst, nil).StatusCode; got != 404 {
		t.Errorf("the hidden blob: %d", got)
	}
	// A blob itself may look like a form.
	if got := r.as("admin", "PUT", r.as("admin", "POST", "/v2/team/new/blobs/uploads/", nil).Header.Get("Location")+"&digest="+digest.FromString("a=b").String(),
		strings.NewReader("a=b"), "Content-Type: application/x-www-form-urlencoded").StatusCode; got != 201 {
		t.Errorf("a blob that looks like a form: %d", got)
	}
}
