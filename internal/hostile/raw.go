package hostile

import (
	"io"
	"net/http"
	"strconv"
	"strings"
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

// Edit lets the registry process the request, and rewrites the body of its answer. The answer has the new
// length. It applies to any request.
func Edit(edit func(body string) string) *Fault {
	return &Fault{act: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		var body strings.Builder
		status := http.StatusOK
		next.ServeHTTP(&tap{ResponseWriter: &discardedResponse{header: w.Header()}, head: func(code int, _ http.Header) int {
			status = code
			return code
		}, body: func(p []byte, _ int64) { body.Write(p) }}, r)
		text := edit(body.String())
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}}
}
