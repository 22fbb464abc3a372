package oci

import (
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Verifier is an [io.Writer] that checks whether the bytes written to it are the content that a
// descriptor names. Every target writes to one before it closes an upload. A Verifier is not safe for
// concurrent use.
type Verifier struct {
	want Descriptor
	hash hash.Hash
	at   int64
}

// NewVerifier returns a Verifier for d, at byte 0. The error is [fault.Refused]: the algorithm of d's
// digest is not known.
func NewVerifier(d Descriptor) (*Verifier, error) {
	if ref.Digest(string(d.Digest)) != nil {
		return nil, &fault.Fault{
			Kind: fault.Refused,
			Op:   "verify",
			Name: fmt.Sprintf("%.100q", string(d.Digest)),
			Err:  errors.New("not a sha256, sha384 or sha512 digest"),
		}
	}
	return &Verifier{want: d, hash: d.Digest.Algorithm().Hash()}, nil
}

// Write adds the next bytes. The error is [fault.Corrupt]: with p there would be more bytes than the
// descriptor's size. Then no byte of p is added.
func (v *Verifier) Write(p []byte) (int, error) {
	if v.at+int64(len(p)) > v.want.Size {
		return 0, v.corrupt("the content is longer than the %d bytes of its descriptor", v.want.Size)
	}
	v.hash.Write(p)
	v.at += int64(len(p))
	return len(p), nil
}

// At returns how many bytes were written.
func (v *Verifier) At() int64 { return v.at }

// Verify returns nil if all bytes were written and match the digest. The error is [fault.Corrupt].
func (v *Verifier) Verify() error {
	if v.at != v.want.Size {
		return v.corrupt("the content ended after %d of %d bytes", v.at, v.want.Size)
	}
	if got := fmt.Sprintf("%s:%x", v.want.Digest.Algorithm(), v.hash.Sum(nil)); got != string(v.want.Digest) {
		return v.corrupt("the bytes have the digest %s", got)
	}
	return nil
}

// Reset sets v back to byte 0.
func (v *Verifier) Reset() {
	v.hash.Reset()
	v.at = 0
}

// ReadAll reads all of d from body into memory, and verifies it. The caller bounds d.Size. The error is that of body,
// or [fault.Corrupt] if the size or the digest is another one; then no bytes are returned.
func ReadAll(body io.Reader, d Descriptor) ([]byte, error) {
	v, err := NewVerifier(d)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(body, d.Size+1))
	if err != nil {
		return nil, err
	}
	if _, err := v.Write(raw); err != nil {
		return nil, err
	}
	if err := v.Verify(); err != nil {
		return nil, err
	}
	return raw, nil
}

// Mark returns the state of v at the current byte. [Verifier.Return] goes back to it.
func (v *Verifier) Mark() (Mark, error) {
	state, err := v.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return Mark{}, &fault.Fault{Kind: fault.Internal, Op: "save hash state", Name: string(v.want.Digest), Err: err}
	}
	return Mark{At: v.at, State: state}, nil
}

// Return sets v to the state and the byte at which m was taken. m must come from a Verifier for the
// same algorithm.
func (v *Verifier) Return(m Mark) error {
	if err := v.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(m.State); err != nil {
		return &fault.Fault{Kind: fault.Internal, Op: "load hash state", Name: string(v.want.Digest), Err: err}
	}
	v.at = m.At
	return nil
}

// Mark is the state of a [Verifier] at one byte. It can be stored, and used in another process.
type Mark struct {
	At    int64  `json:"at"`
	State []byte `json:"state"`
}

func (v *Verifier) corrupt(format string, args ...any) error {
	return &fault.Fault{Kind: fault.Corrupt, Op: "verify", Name: string(v.want.Digest), Err: fmt.Errorf(format, args...)}
}
