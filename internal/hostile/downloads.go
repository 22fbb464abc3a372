package hostile

import (
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// CutBodyAt resets the connection after n bytes of the response body. A shorter body is sent
// completely and then cut. Over HTTP/2 the stream is reset, and the client may have received less
// than n bytes. It applies to GETs of blobs.
func CutBodyAt(n int64) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&tap{ResponseWriter: w, body: func(p []byte, at int64) {
			_, _ = w.Write(clip(p, n-at))
			if at+int64(len(p)) >= n {
				reset(w)
			}
		}}, r)
		reset(w)
	})
}

// CleanEOFAt sends n bytes without a Content-Length and then ends the body normally. It applies to
// GETs of blobs.
func CleanEOFAt(n int64) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&tap{
			ResponseWriter: w,
			head:           chunked,
			body: func(p []byte, at int64) {
				_, _ = w.Write(clip(p, n-at))
				_ = http.NewResponseController(w).Flush()
			},
		}, r)
	})
}

// StallAt sends n bytes, pauses for d, and continues. With d 0 it pauses until the client leaves or
// the test ends. It applies to GETs of blobs.
func StallAt(n int64, d time.Duration) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		stalled := false
		next.ServeHTTP(&tap{ResponseWriter: w, body: func(p []byte, at int64) {
			if head := clip(p, n-at); !stalled && at+int64(len(p)) >= n {
				stalled = true
				_, _ = w.Write(head)
				_ = http.NewResponseController(w).Flush()
				p = p[len(head):]
				if !pause(r.Context(), d) {
					panic(http.ErrAbortHandler)
				}
			}
			_, _ = w.Write(p)
		}}, r)
	})
}

// NoHeader waits for d before anything else happens. With d 0 it waits until the client leaves or
// the test ends. It applies to any request.
func NoHeader(d time.Duration) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !pause(r.Context(), d) {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	}}
}

// Trickle sends a body at a rate in bytes/s, ten times a second. It applies to GETs of blobs.
func Trickle(rate int) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&tap{ResponseWriter: w, body: func(p []byte, _ int64) {
			for len(p) > 0 {
				head := clip(p, int64(max(rate/10, 1)))
				_, err := w.Write(head)
				_ = http.NewResponseController(w).Flush()
				p = p[len(head):]
				if err != nil || !pause(r.Context(), time.Second/10) {
					panic(http.ErrAbortHandler)
				}
			}
		}}, r)
	})
}

// FlipBit flips the lowest bit of one byte of the response body, at the offset at. It applies to
// GETs of blobs.
func FlipBit(at int64) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&tap{ResponseWriter: w, body: func(p []byte, from int64) {
			if i := at - from; i >= 0 && i < int64(len(p)) {
				p = append([]byte(nil), p...)
				p[i] ^= 1
			}
			_, _ = w.Write(p)
		}}, r)
	})
}

// LongerBody adds extra bytes to a body, and to its Content-Length. It applies to GETs of blobs.
func LongerBody(extra int64) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		t := &tap{ResponseWriter: w, head: lengthen(extra)}
		next.ServeHTTP(t, r)
		t.finish()
		_, _ = io.CopyN(w, testbed.Noise(0, extra), extra)
	})
}

// EndlessBody adds extra bytes to a body, and leaves the Content-Length out, so that only the bytes show it.
// It applies to GETs of blobs.
func EndlessBody(extra int64) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		t := &tap{ResponseWriter: w, head: chunked}
		next.ServeHTTP(t, r)
		t.finish()
		_, _ = io.CopyN(w, testbed.Noise(0, extra), extra)
	})
}

// ContentLengthMismatch adds delta to the Content-Length and does not change the body. With a
// positive delta the connection ends early, with a negative one the client sees a shorter body. It
// applies to GETs of blobs.
func ContentLengthMismatch(delta int64) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		left := int64(math.MaxInt64)
		t := &tap{ResponseWriter: w, head: func(code int, h http.Header) int {
			code = lengthen(delta)(code, h)
			if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
				left = n
			}
			return code
		}}
		t.body = func(p []byte, at int64) { _, _ = w.Write(clip(p, left-at)) }
		next.ServeHTTP(t, r)
		t.finish()
	})
}

// ContentEncoding sets the header Content-Encoding. With "gzip" and "deflate" the body is really
// compressed. With any other name the body is not changed, so the header is wrong. It applies to
// GETs of blobs.
func ContentEncoding(name string) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		packed := map[string]func(io.Writer) io.WriteCloser{
			"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
			"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		}[name]
		t := &tap{ResponseWriter: w, head: func(code int, h http.Header) int {
			h.Set("Content-Encoding", name)
			if packed != nil {
				h.Del("Content-Length")
			}
			return code
		}}
		if packed != nil {
			z := packed(w)
			defer func() { _ = z.Close() }() // fails only if the client has gone
			t.body = func(p []byte, _ int64) { _, _ = z.Write(p) }
		}
		next.ServeHTTP(t, r)
		t.finish()
	})
}

// IgnoreRange answers 200 with the whole body. It applies to GETs of blobs with Range.
func IgnoreRange() *Fault {
	return rangeFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
		next.ServeHTTP(w, r)
	})
}

// RangeNotSatisfiable answers 416. It applies to GETs of blobs with Range.
func RangeNotSatisfiable() *Fault {
	return rangeFault(Status(http.StatusRequestedRangeNotSatisfiable, nil, "").act)
}

// WrongContentRange sends the right bytes with a Content-Range that begins and ends one byte later.
// It applies to GETs of blobs with Range.
func WrongContentRange() *Fault {
	return rangeFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&tap{ResponseWriter: w, head: func(code int, h http.Header) int {
			var from, to int64
			var total string
			if n, _ := fmt.Sscanf(h.Get("Content-Range"), "bytes %d-%d/%s", &from, &to, &total); n == 3 {
				h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%s", from+1, to+1, total))
			}
			return code
		}}, r)
	})
}

// MultipartRange sends a partial body as multipart/byteranges, which RFC 9110 §15.3.7.2 allows only
// for several ranges. It applies to GETs of blobs with Range.
func MultipartRange() *Fault {
	const boundary = "testbed"
	return rangeFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		part := ""
		t := &tap{ResponseWriter: w, head: func(code int, h http.Header) int {
			part = fmt.Sprintf("--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n",
				boundary, h.Get("Content-Type"), h.Get("Content-Range"))
			h.Set("Content-Type", "multipart/byteranges; boundary="+boundary)
			h.Del("Content-Range")
			h.Del("Content-Length")
			return code
		}}
		t.body = func(p []byte, at int64) {
			if at == 0 {
				_, _ = io.WriteString(w, part)
			}
			_, _ = w.Write(p)
		}
		next.ServeHTTP(t, r)
		_, _ = io.WriteString(w, "\r\n--"+boundary+"--\r\n")
	})
}

func blobFault(a act) *Fault { return (&Fault{act: a}).On(http.MethodGet, testbed.Blob) }

// rangeFault is blobFault for requests with Range. It removes If-Range, so that the response
// depends on the range alone.
func rangeFault(a act) *Fault {
	return blobFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r = r.Clone(r.Context())
		r.Header.Del("If-Range")
		a(w, r, next)
	}).When(func(r *http.Request) bool { return askedRange.MatchString(r.Header.Get("Range")) })
}

var askedRange = regexp.MustCompile(`^bytes=`)

// clip returns the first n bytes of p, or none if n is negative.
func clip(p []byte, n int64) []byte {
	return p[:min(max(n, 0), int64(len(p)))]
}

func chunked(code int, h http.Header) int {
	h.Del("Content-Length")
	return code
}

func lengthen(delta int64) func(int, http.Header) int {
	return func(code int, h http.Header) int {
		if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
			h.Set("Content-Length", strconv.FormatInt(max(n+delta, 0), 10))
		}
		return code
	}
}
