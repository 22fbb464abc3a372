package reason

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// PageHint is the hint for a web page in place of an answer.
const PageHint = "check the address of the registry, the proxy (HTTPS_PROXY), and whether this network asks for a " +
	"sign-in: open the address in a browser to see the page"

// IsMarkup reports whether a body that begins with begin is a web page. Without a Content-Type that
// says so, it must begin with one of the elements that begin a web page. A body in a coding that was
// not decoded cannot be judged, so its Content-Type decides.
func IsMarkup(h http.Header, begin []byte) bool {
	begin = bytes.TrimSpace(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf")))
	kind := http.DetectContentType(begin)
	switch {
	case IsHTML(h) && (len(begin) == 0 || Coding(h) != "" && !strings.HasPrefix(kind, "text/")):
		return true
	case !bytes.HasPrefix(begin, []byte("<")):
		return false
	}
	return IsHTML(h) || strings.HasPrefix(kind, "text/html")
}

// IsHTML reports whether the Content-Type is that of a web page.
func IsHTML(h http.Header) bool {
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return t == "text/html" || t == "application/xhtml+xml"
}

// Coding returns the compression that Content-Encoding names (RFC 9110 §8.4.1), or "" if it names
// none that changes bytes.
func Coding(h http.Header) string {
	for name := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Content-Encoding"), ",")), ",") {
		name = strings.TrimPrefix(strings.TrimSpace(name), "x-")
		if slices.Contains([]string{"gzip", "deflate", "br", "zstd", "compress"}, name) {
			return name
		}
	}
	return ""
}

// CodingHint is the hint for a body in a coding that cannot be decoded.
const CodingHint = "turn off compression at the proxy in front of the registry"

// BadCoding returns the cause of a body that err keeps from being decoded.
func BadCoding(coding string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("the answer is not valid %s: %w", coding, err)
}

// IsInner reports whether host is a name that only exists inside some network: a name without a dot,
// or one below a domain that is never public (RFC 6762, RFC 8375, Kubernetes).
func IsInner(host string) bool {
	if !strings.Contains(host, ".") {
		_, err := netip.ParseAddr(host)
		return err != nil
	}
	return slices.ContainsFunc([]string{".local", ".internal", ".svc", ".lan", ".home.arpa", ".localdomain"},
		func(domain string) bool { return strings.HasSuffix(strings.ToLower(host), domain) })
}
