package hostile

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// CutRequestAt reads n bytes of a request body, passes them to the registry as the body of a client
// that disconnected, and resets the connection. The registry decides what it keeps. distribution v3
// and Sink keep n bytes, and their upload status reports it. docker-registry 2.8.2 answers 404
// BLOB_UPLOAD_INVALID to the Location that the client has. A shorter body is accepted, and its
// response is lost. It applies to PATCH and PUT of uploads.
func CutRequestAt(n int64) *Fault {
	return uploadFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r = r.Clone(r.Context())
		r.Body = &brokenBody{ReadCloser: r.Body, left: n}
		next.ServeHTTP(&discardedResponse{header: http.Header{}}, r)
		reset(w)
	})
}

// DropRequestAt reads n bytes of a request body, cancels the upload session and resets the
// connection. Later requests for the session get 404. It applies to PATCH and PUT of uploads.
func DropRequestAt(n int64) *Fault {
	return uploadFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		_, _ = io.CopyN(io.Discard, r.Body, n)
		forget := r.Clone(r.Context())
		forget.Method, forget.Body, forget.ContentLength = http.MethodDelete, http.NoBody, 0
		forget.Header.Del("Content-Length")
		next.ServeHTTP(&discardedResponse{header: http.Header{}}, forget)
		reset(w)
	})
}

// LoseAnswer lets the registry process the request, and resets the connection instead of sending
// the response. It applies to any request; narrow it with On.
func LoseAnswer() *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&discardedResponse{header: http.Header{}}, r)
		reset(w)
	}}
}

// StopReading reads n bytes of a request body and then nothing for d. With d 0 it stops until the
// test ends. The client notices only when the buffers of both kernels are full (megabytes on
// loopback, none on testbed.Pipes). It applies to PATCH and PUT of uploads.
func StopReading(n int64, d time.Duration) *Fault {
	return uploadFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		head := make([]byte, n)
		got, err := io.ReadFull(r.Body, head)
		if err == nil && !pause(r.Context(), d) {
			panic(http.ErrAbortHandler)
		}
		body := r.Body
		r = r.Clone(r.Context())
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(head[:got]), body), body}
		next.ServeHTTP(w, r)
	})
}

// Lying201 reads a request, answers 201 with Docker-Content-Digest digest, and stores nothing. ""
// leaves the header out. It applies to PUTs of manifests.
func Lying201(digest string) *Fault {
	return (&Fault{act: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", r.URL.Path)
		if digest != "" {
			w.Header().Set("Docker-Content-Digest", digest)
		}
		w.WriteHeader(http.StatusCreated)
	}}).On(http.MethodPut, testbed.Manifest)
}

// TooLarge answers 413 as soon as it knows that a body is longer than limit bytes: at once from its
// Content-Length, or after limit+1 bytes. It reads and discards the rest of the body after the
// response, as proxies do. It applies to PATCH and PUT of uploads.
func TooLarge(limit int64) *Fault {
	return uploadFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength <= limit {
			head, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
			if err != nil || int64(len(head)) <= limit {
				r = r.Clone(r.Context())
				r.Body = io.NopCloser(bytes.NewReader(head))
				next.ServeHTTP(w, r)
				return
			}
		}
		c := http.NewResponseController(w)
		_ = c.EnableFullDuplex()
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_ = c.Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
}

// MountAnswers answers a request to mount. With 202 it opens an upload, as if the request had not
// asked for a mount. Any other code is sent as it is, and nothing happens.
func MountAnswers(code int) *Fault {
	return (&Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if code != http.StatusAccepted {
			Status(code, nil, "").act(w, r, next)
			return
		}
		r = r.Clone(r.Context())
		q := r.URL.Query()
		q.Del("mount")
		q.Del("from")
		r.URL.RawQuery = q.Encode()
		next.ServeHTTP(w, r)
	}}).On(http.MethodPost, testbed.Upload).When(func(r *http.Request) bool {
		return r.URL.Query().Has("mount")
	})
}

// uploadFault applies to requests that send bytes of a blob.
func uploadFault(a act) *Fault {
	return (&Fault{act: a}).On("", testbed.Upload).When(func(r *http.Request) bool {
		return r.Method == http.MethodPatch || r.Method == http.MethodPut
	})
}
