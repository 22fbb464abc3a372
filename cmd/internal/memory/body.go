package memory

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

const (
	freeBody  = 4 << 10  // bytes of a body that take nothing of the budget
	smallBody = 64 << 10 // bytes of a body that is Small
)

// Body reads the body of r into memory and takes what it weighs, for the client who. When it is decoded, it is of the
// kind as. Body reads no more than limit bytes
// at once: r.Body then has them and what follows, and also the error of a body that could not be read. A body whose
// first 64 KiB have not arrived takes no more than these, whatever length the request announces. The caller must call
// done when it has handled r; a second call does nothing.
//
// The errors are those of Hold.Take.
func (b *Budget) Body(r *http.Request, who string, limit int64, as string) (done func(), err error) {
	if b == nil || r.Body == nil || r.Body == http.NoBody {
		return func() {}, nil
	}
	h := b.Begin(who)
	raw, rest, err := h.read(r, limit)
	if err == nil {
		err = h.Take(r.Context(), as, Cost(raw))
	}
	if err != nil {
		h.Release()
		return func() {}, err
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(raw), rest), r.Body}
	return h.Release, nil
}

// read reads up to limit bytes of the body of r. rest has what follows.
func (h *Hold) read(r *http.Request, limit int64) (raw []byte, rest io.Reader, err error) {
	most := limit
	if r.ContentLength >= 0 {
		most = min(most, r.ContentLength+1) // one more, to see the end
	}
	for size := min(most, freeBody); ; size = min(most, 2*size) {
		switch len(raw) {
		case freeBody:
			err = h.Take(r.Context(), Small, 2*min(most, smallBody))
		case smallBody:
			err = h.Take(r.Context(), Large, 2*most) // as the buffer doubles
		}
		if err != nil {
			return nil, nil, err
		}
		raw = append(make([]byte, 0, size), raw...)
		n, err := io.ReadFull(r.Body, raw[len(raw):size])
		raw = raw[:len(raw)+n]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), err == nil && size == most:
			return raw, r.Body, nil
		case err != nil:
			return raw, broken{err}, nil
		}
	}
}

// broken is a Reader that only has an error.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
