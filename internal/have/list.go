package have

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/oci"
)

const (
	digestSize = 32
	recordSize = digestSize + 4
)

// List says what a receiver has.
type List struct {
	Of    string    // what was listed, such as "prod.example/mirror/"
	Made  time.Time // when it was listed
	Names []Name    // sorted

	repos   []string
	numbers map[string]uint32 // the index of each of repos
	records []byte            // the blobs, each as recordSize bytes; sorted and each once, unless unsorted is set
	others  map[oci.Digest]string
	loose   bool // records were added since they were sorted
}

// Name is a tag of the receiver. Its repository is a path below what was listed.
type Name struct {
	Repo   string     `json:"repo"`
	Tag    string     `json:"tag"`
	Digest oci.Digest `json:"digest"`
}

// Compare orders names by repository and tag.
func (n Name) Compare(m Name) int {
	if c := strings.Compare(n.Repo, m.Repo); c != 0 {
		return c
	}
	return strings.Compare(n.Tag, m.Tag)
}

// New returns an empty list.
func New(of string, made time.Time) *List {
	return &List{Of: of, Made: made, numbers: map[string]uint32{}, others: map[oci.Digest]string{}}
}

// Add adds blobs that the repository repo holds.
func (l *List) Add(repo string, blobs ...oci.Digest) {
	n, known := l.numbers[repo]
	if !known {
		n = uint32(len(l.repos)) //nolint:gosec // a registry does not have that many repositories
		l.numbers[repo] = n
		l.repos = append(l.repos, repo)
	}
	for _, d := range blobs {
		key, ok := keyOf(d)
		if !ok {
			l.others[d] = repo
			continue
		}
		l.records = binary.BigEndian.AppendUint32(append(l.records, key...), n)
		l.loose = true
	}
}

// Merge adds what a later list of the same receiver says. Its names take precedence.
func (l *List) Merge(later *List) {
	l.Made = later.Made
	later.sort()
	for at := 0; at < len(later.records); at += recordSize {
		r := later.records[at : at+recordSize]
		l.Add(later.repos[binary.BigEndian.Uint32(r[digestSize:])], digestOf(r))
	}
	for d, repo := range later.others {
		l.Add(repo, d)
	}
	l.Names = append(slices.Clone(later.Names), l.Names...)
	slices.SortStableFunc(l.Names, Name.Compare)
	l.Names = slices.CompactFunc(l.Names, func(a, b Name) bool { return a.Compare(b) == 0 })
}

// Holder returns a repository that holds the blob. It must not be called while blobs are added.
func (l *List) Holder(d oci.Digest) (repo string, found bool) {
	key, ok := keyOf(d)
	if !ok {
		repo, found = l.others[d]
		return repo, found
	}
	n := len(l.records) / recordSize
	at := sort.Search(n, func(i int) bool {
		return bytes.Compare(l.records[i*recordSize:i*recordSize+digestSize], key) >= 0
	})
	if at == n || !bytes.Equal(l.records[at*recordSize:at*recordSize+digestSize], key) {
		return "", false
	}
	return l.repos[binary.BigEndian.Uint32(l.records[at*recordSize+digestSize:])], true
}

// Blobs returns how many blobs are listed.
func (l *List) Blobs() int {
	l.sort()
	return len(l.records)/recordSize + len(l.others)
}

// Repositories returns how many repositories hold blobs.
func (l *List) Repositories() int { return len(l.repos) }

// Tag returns the digest of a tag, or "" if the receiver does not have it.
func (l *List) Tag(repo, tag string) oci.Digest {
	at, found := slices.BinarySearchFunc(l.Names, Name{Repo: repo, Tag: tag}, Name.Compare)
	if !found {
		return ""
	}
	return l.Names[at].Digest
}

// In returns the names in one repository.
func (l *List) In(repo string) []Name {
	from, _ := slices.BinarySearchFunc(l.Names, Name{Repo: repo}, Name.Compare)
	to := from
	for to < len(l.Names) && l.Names[to].Repo == repo {
		to++
	}
	return l.Names[from:to]
}

// sort sorts the records by digest, and keeps the first repository of each.
func (l *List) sort() {
	if !l.loose {
		return
	}
	order := make([]int, len(l.records)/recordSize)
	for i := range order {
		order[i] = i
	}
	at := func(i int) []byte { return l.records[i*recordSize : (i+1)*recordSize] }
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(at(a), at(b)) })
	sorted := make([]byte, 0, len(l.records))
	for _, i := range order {
		if n := len(sorted); n > 0 && bytes.Equal(sorted[n-recordSize:n-4], at(i)[:digestSize]) {
			continue
		}
		sorted = append(sorted, at(i)...)
	}
	l.records, l.loose = sorted, false
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
