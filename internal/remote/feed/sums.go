package feed

import (
	"fmt"
	"io"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/oci"
)

const (
	// heldBack is the number of bytes at the end of a blob that are held back until its digest
	// matches.
	heldBack = 64 << 10
	// markEvery is the number of bytes between the marks that the upload of a later process can
	// return to.
	markEvery = ledger.MarkEvery
	// stepEvery is the number of bytes between the marks that this process can return to. Each
	// takes 0.1 KiB.
	stepEvery = 1 << 20
)

// sums verifies the bytes that are read of a blob against its digest and size.
type sums struct {
	d     oci.Descriptor
	check *oci.Verifier
	// Keep is called with each new mark at a multiple of markEvery, before the bytes after the mark
	// are sent. It may be nil.
	Keep func(oci.Mark)
}

// toMark returns the number of bytes from offset at to the next mark.
func toMark(at int64) int64 { return stepEvery - at%stepEvery }

// short returns the error for a source that ended with err at an offset before the blob's end.
func (s *sums) short(err error, at int64) error {
	if err == io.EOF {
		return s.corrupt("the source ended after %d of %d bytes", at, s.d.Size)
	}
	return err
}

// noMore checks that src ends where the blob ends. Reading to the end may also allow the connection
// to be reused.
func (s *sums) noMore(src io.Reader) error {
	var more [1]byte
	if n, _ := io.ReadFull(src, more[:]); n > 0 {
		return s.corrupt("the source is longer than the blob's %d bytes", s.d.Size)
	}
	return nil
}

func (s *sums) corrupt(format string, args ...any) error {
	return &fault.Fault{Kind: fault.Corrupt, Op: "verify", Name: string(s.d.Digest), Err: fmt.Errorf(format, args...)}
}

// hash hashes the next bytes. It returns a mark if they end at one.
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
