package foreign

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

func TestALayerIsReadFromWhereItBroke(t *testing.T) {
	const text = "0123456789"
	d := oci.Descriptor{Digest: oci.Sum([]byte(text)), Size: int64(len(text))}
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		from  int64 // -1 for an error
		want  string
	}{
		"ranges": {func(w http.ResponseWriter, q *http.Request) {
			http.ServeContent(w, q, "", time.Time{}, strings.NewReader(text))
		}, 4, "4567"},
		"no ranges": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }, 0, text},
		"other part": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 7-9/10")
			w.WriteHeader(http.StatusPartialContent)
		}, -1, ""},
	} {
		s := httptest.NewServer(tt.serve)
		f := Unchecked(new(net.Dialer).DialContext)
		body, from, err := f.open(t.Context(), d, s.URL, 4, 4)
		switch {
		case tt.from < 0:
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || from != tt.from:
			t.Errorf("%s: from %d, %v", name, from, err)
		default:
			got, err := io.ReadAll(body)
			if string(got) != tt.want || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			body.Close()
		}
		f.Close()
		s.Close()
	}
}
