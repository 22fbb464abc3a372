package feed

import (
	"fmt"
	"io"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/oci"
)

const (
	heldBack  = 64 << 10         // bytes at the end of a blob that stay here until its digest matches
	markEvery = ledger.MarkEvery // bytes between the places that an upload of the next process can go back to
	stepEvery = 1 << 20          // bytes between those that this one can go back to, of which each takes 0.1 KiB
)

// sums holds what is read of a blob against its digest and size.
type sums struct {
	d     oci.Descriptor
	check *oci.Verifier
	Keep  func(oci.Mark) // is told each new mark at markEvery before the bytes behind it leave; nil for nobody
}

// toMark is how many bytes there are from at to the next place to go back to.
func toMark(at int64) int64 { return stepEvery - at%stepEvery }

// short is what err of the source means at a byte where more should have come.
func (s *sums) short(err error, at int64) error {
	if err == io.EOF {
		return s.corrupt("%d of %d bytes", at, s.d.Size)
	}
	return err
}

// noMore reads on where the blob ends. The end may tell that a connection can be used again.
func (s *sums) noMore(src io.Reader) error {
	var more [1]byte
	if n, _ := io.ReadFull(src, more[:]); n > 0 {
		return s.corrupt("longer than its %d bytes", s.d.Size)
	}
	return nil
}

func (s *sums) corrupt(format string, args ...any) error {
	return &fault.Fault{Kind: fault.Corrupt, Op: "verify", Name: string(s.d.Digest), Err: fmt.Errorf(format, args...)}
}

// hash takes in the next bytes, and the place to go back to that may be at their end.
func (s *sums) hash(p []byte) (*oci.Mark, error) {
	if _, err := s.check.Write(p); err != nil || s.check.At()%stepEvery != 0 {
		return nil, err
	}
	m, err := s.check.Mark()
	if err != nil {
		return nil, err
	}
	if s.Keep != nil && m.At%markEvery == 0 {
		s.Keep(m)
	}
	return &m, nil
}
