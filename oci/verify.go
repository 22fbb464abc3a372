package oci

import (
	"encoding"
	"fmt"
	"hash"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Verifier takes the bytes of one piece of content and says whether they are
// what its descriptor names. Every target feeds one before it closes an upload.
// It is not safe for concurrent use.
type Verifier struct {
	want Descriptor
	hash hash.Hash
	at   int64
}

// NewVerifier returns a Verifier for d, at byte 0. The error is Refused when d's algorithm is unknown.
func NewVerifier(d Descriptor) (*Verifier, error) {
	if ref.Digest(string(d.Digest)) != nil {
		return nil, &fault.Fault{Kind: fault.Refused, Op: "verify", Name: fmt.Sprintf("%.100q", string(d.Digest)), Err: fmt.Errorf("not a digest of sha256, sha384 or sha512")}
	}
	return &Verifier{want: d, hash: d.Digest.Algorithm().Hash()}, nil
}

// Write takes the next bytes. More bytes than the descriptor's size are Corrupt.
func (v *Verifier) Write(p []byte) (int, error) {
	if v.at+int64(len(p)) > v.want.Size {
		return 0, v.corrupt("longer than its %d bytes", v.want.Size)
	}
	v.hash.Write(p)
	v.at += int64(len(p))
	return len(p), nil
}

// At returns how many bytes were taken.
func (v *Verifier) At() int64 { return v.at }

// Verify says whether all bytes came and match. The error is Corrupt.
func (v *Verifier) Verify() error {
	if v.at != v.want.Size {
		return v.corrupt("%d of %d bytes", v.at, v.want.Size)
	}
	if got := fmt.Sprintf("%s:%x", v.want.Digest.Algorithm(), v.hash.Sum(nil)); got != string(v.want.Digest) {
		return v.corrupt("the bytes have the digest %s", got)
	}
	return nil
}

// Reset goes back to byte 0.
func (v *Verifier) Reset() {
	v.hash.Reset()
	v.at = 0
}

// Mark returns the state at this byte, for Return.
func (v *Verifier) Mark() (Mark, error) {
	state, err := v.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return Mark{}, &fault.Fault{Kind: fault.Internal, Op: "save hash state", Name: string(v.want.Digest), Err: err}
	}
	return Mark{At: v.at, State: state}, nil
}

// Return goes back to where m was taken.
func (v *Verifier) Return(m Mark) error {
	if err := v.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(m.State); err != nil {
		return &fault.Fault{Kind: fault.Internal, Op: "load hash state", Name: string(v.want.Digest), Err: err}
	}
	v.at = m.At
	return nil
}

// Mark is a Verifier's state at one byte. It may be stored.
type Mark struct {
	At    int64  `json:"at"`
	State []byte `json:"state"`
}

func (v *Verifier) corrupt(format string, args ...any) error {
	return &fault.Fault{Kind: fault.Corrupt, Op: "verify", Name: string(v.want.Digest), Err: fmt.Errorf(format, args...)}
}
