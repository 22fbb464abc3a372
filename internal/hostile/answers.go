package hostile

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/testbed"
)

// Status answers every request with code, headers and body after it has read the whole request.
// Narrow it with On.
func Status(code int, h http.Header, body string) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		for k, v := range h {
			w.Header()[http.CanonicalHeaderKey(k)] = v
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}}
}

// Error answers with code and a body in the form of distribution-spec v1.1.1 §Error Codes, for
// example Error(507, "DENIED", "no space left").
func Error(code int, name, message string) *Fault {
	body := fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, name, message)
	return Status(code, http.Header{"Content-Type": {"application/json"}}, body)
}

// TooMany answers 429 with the given Retry-After: seconds, a date, "-1" or garbage. "" leaves the
// header out. It applies to any request.
func TooMany(retryAfter string) *Fault {
	h := http.Header{"Content-Type": {"application/json"}}
	if retryAfter != "" {
		h.Set("Retry-After", retryAfter)
	}
	return Status(http.StatusTooManyRequests, h, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`)
}

// TooManyUntil answers 429 with a Retry-After date, d after the request. Dates have whole seconds,
// so the date is rounded up.
func TooManyUntil(d time.Duration) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		at := time.Now().Add(d + time.Second - 1).UTC().Format(http.TimeFormat)
		TooMany(at).act(w, r, next)
	}}
}

// RedirectTo answers with a redirect; code 0 means 307. It applies to GETs of blobs.
func RedirectTo(url string, code int) *Fault {
	if code == 0 {
		code = http.StatusTemporaryRedirect
	}
	return Status(code, http.Header{"Location": {url}}, "").On(http.MethodGet, testbed.Blob)
}

// RedirectSelf answers with a redirect to the address that was asked for. It applies to any request.
func RedirectSelf(code int) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		Status(code, http.Header{"Location": {r.URL.RequestURI()}}, "").act(w, r, next)
	}}
}

// OtherManifest serves raw with Content-Type mediaType and claims that it is what was requested. It
// applies to GETs of manifests.
func OtherManifest(mediaType string, raw []byte) *Fault {
	return (&Fault{act: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		claim := testbed.Parse(r.URL.Path).Ref
		if digest.Digest(claim).Validate() != nil {
			claim = digest.FromBytes(raw).String()
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		w.Header().Set("Docker-Content-Digest", claim)
		_, _ = w.Write(raw)
	}}).On(http.MethodGet, testbed.Manifest)
}

// EndlessManifest serves one JSON string that never ends. It applies to GETs of manifests.
func EndlessManifest() *Fault {
	return (&Fault{act: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		chunk := strings.Repeat("a", 64<<10)
		_, err := io.WriteString(w, `{"schemaVersion":2,"annotations":{"a":"`)
		for err == nil {
			_, err = io.WriteString(w, chunk)
		}
	}}).On(http.MethodGet, testbed.Manifest)
}

// HugePage serves one page of distinct tags with at least size bytes. It applies to tag lists.
func HugePage(size int64) *Fault {
	return (&Fault{act: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		n, err := fmt.Fprintf(w, `{"name":%q,"tags":["t"`, testbed.Parse(r.URL.Path).Repo)
		for at, i := int64(n), 0; err == nil && at < size; i++ {
			n, err = fmt.Fprintf(w, `,"t%0100d"`, i)
			at += int64(n)
		}
		_, _ = io.WriteString(w, "]}")
	}}).On(http.MethodGet, testbed.Tags)
}

// LinkSelf adds a Link from a page to the same page. It applies to tag lists.
func LinkSelf() *Fault {
	return changeHeader(func(r *http.Request, h http.Header) {
		h.Set("Link", "<"+r.URL.RequestURI()+`>; rel="next"`)
	}).On(http.MethodGet, testbed.Tags)
}

// LinkTo adds a Link to url. It applies to tag lists.
func LinkTo(url string) *Fault {
	return changeHeader(func(_ *http.Request, h http.Header) {
		h.Set("Link", "<"+url+`>; rel="next"`)
	}).On(http.MethodGet, testbed.Tags)
}

// WrongDigestHeader sends the digest of other content. It applies to manifests, with any method.
func WrongDigestHeader() *Fault {
	return changeHeader(func(_ *http.Request, h http.Header) {
		h.Set("Docker-Content-Digest", digest.FromString("something else").String())
	}).On("", testbed.Manifest)
}

// NoDigestHeader leaves out Docker-Content-Digest and ETag. It applies to any request.
func NoDigestHeader() *Fault {
	return changeHeader(func(_ *http.Request, h http.Header) {
		h.Del("Docker-Content-Digest")
		h.Del("ETag")
	})
}

// WrongContentType sends another Content-Type. It applies to manifests, with any method.
func WrongContentType(mediaType string) *Fault {
	return changeHeader(func(_ *http.Request, h http.Header) {
		h.Set("Content-Type", mediaType)
	}).On("", testbed.Manifest)
}

// Header sets a header in the response; "" removes it. It applies to any request.
func Header(name, value string) *Fault {
	return changeHeader(func(_ *http.Request, h http.Header) {
		if value == "" {
			h.Del(name)
			return
		}
		h.Set(name, value)
	})
}

// LocationTo rewrites the Location in responses about uploads.
func LocationTo(rewrite func(string) string) *Fault {
	return changeHeader(func(_ *http.Request, h http.Header) {
		if at := h.Get("Location"); at != "" {
			h.Set("Location", rewrite(at))
		}
	}).On("", testbed.Upload)
}

// RealmTo puts another realm into Bearer challenges. It applies to any request, and must be in
// front of the authentication, as Serve puts it.
func RealmTo(url string) *Fault {
	return changeHeader(func(_ *http.Request, h http.Header) {
		for i, c := range h.Values("WWW-Authenticate") {
			h["Www-Authenticate"][i] = realm.ReplaceAllLiteralString(c, `realm="`+url+`"`)
		}
	})
}

var realm = regexp.MustCompile(`realm="[^"]*"`)

// changeHeader changes the header of a response.
func changeHeader(change func(*http.Request, http.Header)) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		t := &tap{ResponseWriter: w, head: func(code int, h http.Header) int {
			change(r, h)
			return code
		}}
		next.ServeHTTP(t, r)
		t.finish()
	}}
}

// Early401 refuses a token that has not expired, with the challenge that the registry sends to a
// request without a token. It applies to requests with Authorization, and must be in front of the
// authentication, as Serve puts it.
func Early401() *Fault {
	return (&Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		next.ServeHTTP(w, r)
	}}).When(func(r *http.Request) bool {
		return r.Header.Get("Authorization") != "" && testbed.Parse(r.URL.Path).Kind != testbed.Token
	})
}

// LyingHead answers 200 with the size, whether the blob exists or not. It applies to HEADs of
// blobs.
func LyingHead(size int64) *Fault {
	return (&Fault{act: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Docker-Content-Digest", testbed.Parse(r.URL.Path).Ref)
	}}).On(http.MethodHead, testbed.Blob)
}
