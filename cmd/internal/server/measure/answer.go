package measure

import "net/http"

// Answer is a ResponseWriter that records the status and the number of bytes of the answer.
type Answer struct {
	http.ResponseWriter
	Status int   // 0 before the answer has begun
	Bytes  int64 // of the body
}

// WriteHeader records the status, except an informational status (1xx), which precedes the answer.
func (a *Answer) WriteHeader(status int) {
	if a.Status == 0 && status >= 200 {
		a.Status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *Answer) Write(p []byte) (int, error) {
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.Bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher, which some streaming handlers use instead of
// http.ResponseController.
func (a *Answer) Flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap returns the wrapped ResponseWriter, for http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
