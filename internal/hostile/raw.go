package hostile

import (
	"io"
	"net/http"
)

// Raw reads the whole request, sends text in place of an answer, and closes the connection. text need not
// be HTTP: "" closes it without a word. It works with HTTP/1.1 only, and applies to any request.
func Raw(text string) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(conn, text) // fails only if the client has gone
		_ = conn.Close()
	}}
}

// Interim sends n informational responses with code before the answer, such as 103. It applies to any
// request.
func Interim(code, n int) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		for range n {
			w.WriteHeader(code)
		}
		next.ServeHTTP(w, r)
	}}
}

// DoneBut lets the registry process the request, and answers with code and no body in place of what the
// registry says. It applies to any request.
func DoneBut(code int) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&discardedResponse{header: http.Header{}}, r)
		w.WriteHeader(code)
	}}
}

// Says lets the registry process the request, and sends its status and its header with another body. It
// applies to any request.
func Says(mediaType, body string) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		t := &tap{ResponseWriter: w, head: func(code int, h http.Header) int {
			h.Set("Content-Type", mediaType)
			h.Del("Content-Length")
			return code
		}, body: func([]byte, int64) {}}
		next.ServeHTTP(t, r)
		t.finish()
		_, _ = io.WriteString(w, body)
	}}
}
