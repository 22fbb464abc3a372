package have

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	magic = "dray-have/1\n"

	// maxHead limits the line of JSON, and maxBlobs the number of blobs, of a list that is read.
	maxHead  = 1 << 30
	maxBlobs = 100 << 20
)

// head is the line of JSON.
type head struct {
	Of           string                `json:"of"`
	Made         time.Time             `json:"made"`
	Repositories []string              `json:"repositories"`
	Names        []Name                `json:"names"`
	Blobs        int                   `json:"blobs"`
	Referrers    int                   `json:"referrers,omitempty"`
	Others       map[oci.Digest]string `json:"others,omitempty"` // blobs whose digest is not sha256
}

// Write writes the list.
func (l *List) Write(w io.Writer) error {
	l.sort()
	slices.SortFunc(l.Names, Name.Compare)
	line, err := json.Marshal(head{
		Of: l.Of, Made: l.Made, Repositories: l.repos, Names: l.Names, Blobs: len(l.records) / recordSize,
		Referrers: len(l.referrers) / referrerSize, Others: l.others,
	})
	if err != nil {
		return err
	}
	sum := sha256.New()
	both := io.MultiWriter(w, sum)
	if _, err := io.WriteString(both, magic); err != nil {
		return err
	}
	packed := gzip.NewWriter(both)
	for _, part := range [][]byte{line, {'\n'}, l.records, l.referrers} {
		if _, err := packed.Write(part); err != nil {
			return err
		}
	}
	if err := packed.Close(); err != nil {
		return err
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

// Read reads a list. name is the file, for errors. The error is Corrupt if the list is damaged or cut off,
// and Invalid if the file is something else.
func Read(r io.Reader, name string) (*List, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Unavailable, Op: "read list", Name: name, Err: err}
	}
	body, found := bytes.CutPrefix(raw, []byte(magic))
	if !found {
		return nil, notAList(raw, name)
	}
	end := len(raw) - sha256.Size
	if len(body) < sha256.Size {
		return nil, damaged(name, errors.New("it is cut off"))
	}
	if sum := sha256.Sum256(raw[:end]); !bytes.Equal(sum[:], raw[end:]) {
		return nil, damaged(name, errors.New("its checksum does not match: it is cut off or changed"))
	}
	packed, err := gzip.NewReader(bytes.NewReader(body[:len(body)-sha256.Size]))
	if err != nil {
		return nil, damaged(name, err)
	}
	l, err := parse(packed)
	if err != nil {
		return nil, damaged(name, err)
	}
	return l, nil
}

// parse reads the part of a list that is compressed.
func parse(r io.Reader) (*List, error) {
	in := bufio.NewReader(io.LimitReader(r, maxHead+maxBlobs*(recordSize+referrerSize)))
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("its head is cut off: %w", err)
	}
	var h head
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("its head is not JSON: %w", err)
	}
	l := New(h.Of, h.Made)
	all, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	if h.Blobs < 0 || h.Blobs > maxBlobs || h.Referrers < 0 || h.Referrers > maxBlobs ||
		len(all) != h.Blobs*recordSize+h.Referrers*referrerSize {
		return nil, fmt.Errorf("it has %d bytes of digests, and its head says %d blobs and %d referrers",
			len(all), h.Blobs, h.Referrers)
	}
	blobs := h.Blobs * recordSize
	l.records, l.referrers = all[:blobs:blobs], all[blobs:]
	for _, repo := range h.Repositories {
		l.numbers[repo] = uint32(len(l.repos)) //nolint:gosec // far fewer
		l.repos = append(l.repos, repo)
	}
	if err := l.checkNumbers(); err != nil {
		return nil, err
	}
	maps.Copy(l.others, h.Others)
	for _, n := range h.Names {
		if ref.Digest(string(n.Digest)) != nil || ref.Tag(n.Tag) != nil {
			return nil, fmt.Errorf("%.100q is not a tag with a digest", n.Repo+":"+n.Tag)
		}
	}
	l.Names, l.loose = h.Names, true // a list of another program may not be sorted
	slices.SortFunc(l.Names, Name.Compare)
	l.sort()
	return l, nil
}

// checkNumbers checks that each record is in a repository of the list.
func (l *List) checkNumbers() error {
	check := func(number []byte) error {
		if n := binary.BigEndian.Uint32(number); int64(n) >= int64(len(l.repos)) {
			return fmt.Errorf("a blob is in repository %d of %d", n, len(l.repos))
		}
		return nil
	}
	for r := range slices.Chunk(l.records, recordSize) {
		if err := check(r[digestSize:]); err != nil {
			return err
		}
	}
	for r := range slices.Chunk(l.referrers, referrerSize) {
		if err := check(r); err != nil {
			return err
		}
	}
	return nil
}

func damaged(name string, err error) error {
	return &fault.Fault{
		Kind: fault.Corrupt,
		Op:   "read list",
		Name: name,
		Err:  err,
		Hint: "copy the file again, or make it again: " + shell.Dray("bundle", "have", "TARGET") + " > " + shell.Quote(name),
	}
}

func notAList(raw []byte, name string) error {
	cause := "not a list of what a receiver has"
	if strings.HasPrefix(string(raw[:min(len(raw), 16)]), "dray-have/") {
		cause = "the list has a later format, which this dray cannot read"
	}
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "read list",
		Name: name,
		Err:  errors.New(cause),
		Hint: "give a file that the command bundle have or bundle load has written",
	}
}
