package measure

import "net/http"

// Answer remembers the status and the bytes of one.
type Answer struct {
	http.ResponseWriter
	Status int // 0 while there is none
	Bytes  int64
}

// WriteHeader remembers the status, unless it is one of those that come before the answer.
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

// Flush is for handlers of streams that ask for it in the old way.
func (a *Answer) Flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
