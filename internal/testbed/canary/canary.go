package canary

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Text fails the test if a text contains a secret. what says where the text comes from.
func Text(tb testing.TB, what, text string) {
	tb.Helper()
	for _, f := range Search([]byte(text)) {
		tb.Errorf("%s: %s", what, f)
	}
}

// Requests fails the test, when it ends, if a request to next shows a secret where proxies and servers log it.
func Requests(tb testing.TB, next http.Handler) http.Handler {
	tb.Helper()
	var mu sync.Mutex
	var shown []Finding
	tb.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, f := range shown {
			tb.Errorf("a request shows %s", f)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if found := inRequest(r.URL.Path, r.URL.RawQuery, r.Header); len(found) > 0 {
			mu.Lock()
			shown = append(shown, found...)
			mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// inRequest searches what proxies and servers write into their logs of a request: its path, its query and all headers
// but those that carry logins. An address that a storage has signed has its signature in the query, as "sig".
func inRequest(path, query string, header http.Header) []Finding {
	var text strings.Builder
	text.WriteString(path + "?")
	for part := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(part, "sig=") {
			text.WriteString(part + "&")
		}
	}
	for name, values := range header {
		if !slices.Contains([]string{"Authorization", "Proxy-Authorization"}, name) {
			text.WriteString("\n" + name + ": " + strings.Join(values, ", "))
		}
	}
	return Search([]byte(text.String()))
}
