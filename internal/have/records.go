package have

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"sort"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/oci"
)

const (
	digestSize = 32

	// recordSize is the size of the record of a blob: its digest, and the number of its repository.
	recordSize = digestSize + 4

	// referrerSize is the size of the record of a referrer: the number of its repository, its digest, and that of what
	// it refers to.
	referrerSize = 4 + 2*digestSize
)

// records are records of one size, one after the other. They are sorted where they are, since there may be millions.
type records struct {
	all  []byte
	size int
}

func (r records) at(i int) []byte    { return r.all[i*r.size : (i+1)*r.size] }
func (r records) Len() int           { return len(r.all) / r.size }
func (r records) Less(i, j int) bool { return bytes.Compare(r.at(i), r.at(j)) < 0 }
func (r records) Swap(i, j int) {
	var one [referrerSize]byte
	n := copy(one[:], r.at(i))
	copy(r.at(i), r.at(j))
	copy(r.at(j), one[:n])
}

// sorted sorts records, and keeps the first of those that have the same first bytes.
func sorted(r records, key int) []byte {
	sort.Sort(r)
	n := 0
	for i := range r.Len() {
		if n > 0 && bytes.Equal(r.at(n - 1)[:key], r.at(i)[:key]) {
			continue
		}
		copy(r.at(n), r.at(i))
		n++
	}
	return r.all[:n*r.size]
}

func keyOf(d oci.Digest) (key []byte, ok bool) {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return nil, false
	}
	key, err := hex.DecodeString(d.Encoded())
	return key, err == nil
}

func digestOf(record []byte) oci.Digest {
	return oci.Digest(fmt.Sprintf("sha256:%x", record[:digestSize]))
}
