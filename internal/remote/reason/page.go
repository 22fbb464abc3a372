package reason

import (
	"bytes"
	"html"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// PageHint is the hint for a web page in place of an answer.
const PageHint = "check the address of the registry, the proxy (HTTPS_PROXY), and whether this network asks for a " +
	"sign-in: open the address in a browser to see the page"

// textOf returns what a body that is not JSON says: the title of a web page, the code and the message
// of a storage (S3, Azure, Google), or plain text.
func textOf(h http.Header, raw []byte) Problems {
	switch {
	case IsMarkup(h, raw):
		return one("", html.UnescapeString(element(raw, "title")))
	case bytes.HasPrefix(bytes.TrimSpace(raw), []byte("<?xml")), bytes.HasPrefix(bytes.TrimSpace(raw), []byte("<Error")):
		return one(element(raw, "Code"), html.UnescapeString(element(raw, "Message")))
	case strings.HasPrefix(h.Get("Content-Type"), "text/plain"), h.Get("Content-Type") == "":
		if utf8.Valid(raw) {
			return one("", string(raw))
		}
	}
	return nil
}

func one(code, text string) Problems {
	p := problem{Clean(code), Clean(hide(text))}
	if p == (problem{}) {
		return nil
	}
	return Problems{p}
}

// element returns the text of the first element with the name in raw, or "".
func element(raw []byte, name string) string {
	_, rest, _ := bytes.Cut(raw, []byte("<"+name+">"))
	text, _, closed := bytes.Cut(rest, []byte("</"+name+">"))
	if !closed {
		return ""
	}
	return string(text)
}

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
