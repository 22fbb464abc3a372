package have

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/drayage/dray/oci"
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

	referrers []byte // each as referrerSize bytes; sorted
	loose     bool   // records were added since they were sorted
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
	n := l.number(repo)
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

// number returns the number of a repository.
func (l *List) number(repo string) uint32 {
	n, known := l.numbers[repo]
	if !known {
		n = uint32(len(l.repos)) //nolint:gosec // a registry does not have that many repositories
		l.numbers[repo] = n
		l.repos = append(l.repos, repo)
	}
	return n
}

// Merge adds what a later list of the same receiver says. Its names take precedence.
func (l *List) Merge(later *List) {
	l.Of, l.Made = later.Of, later.Made
	later.sort()
	for at := 0; at < len(later.records); at += recordSize {
		r := later.records[at : at+recordSize]
		l.Add(later.repos[binary.BigEndian.Uint32(r[digestSize:])], digestOf(r))
	}
	for d, repo := range later.others {
		l.Add(repo, d)
	}
	l.mergeReferrers(later)
	l.sort()
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

// sort sorts the records, and keeps the first repository of each blob.
func (l *List) sort() {
	if !l.loose {
		return
	}
	l.records = sorted(records{l.records, recordSize}, digestSize)
	l.referrers = sorted(records{l.referrers, referrerSize}, referrerSize)
	l.loose = false
}

// Referrer is a document of the receiver that has no tag and refers to another one, such as a signature.
type Referrer struct{ Digest, Subject oci.Digest }

// AddReferrer adds a referrer that the repository repo holds. One whose digests are not sha256 is left out, and is sent
// again.
func (l *List) AddReferrer(repo string, r Referrer) {
	digest, ok := keyOf(r.Digest)
	subject, known := keyOf(r.Subject)
	if !ok || !known {
		return
	}
	l.referrers = binary.BigEndian.AppendUint32(l.referrers, l.number(repo))
	l.referrers = append(append(l.referrers, digest...), subject...)
	l.loose = true
}

// Referrers returns the referrers that a repository holds. It must not be called while something is added.
func (l *List) Referrers(repo string) (all []Referrer) {
	n, known := l.numbers[repo]
	if !known {
		return nil
	}
	key := binary.BigEndian.AppendUint32(nil, n)
	r := records{l.referrers, referrerSize}
	at := sort.Search(r.Len(), func(i int) bool { return bytes.Compare(r.at(i)[:len(key)], key) >= 0 })
	for ; at < r.Len() && bytes.HasPrefix(r.at(at), key); at++ {
		digests := r.at(at)[len(key):]
		all = append(all, Referrer{digestOf(digests), digestOf(digests[digestSize:])})
	}
	return all
}

// CountReferrers returns how many referrers are listed.
func (l *List) CountReferrers() int {
	l.sort()
	return len(l.referrers) / referrerSize
}

// mergeReferrers adds the referrers of a later list.
func (l *List) mergeReferrers(later *List) {
	for r := range slices.Chunk(later.referrers, referrerSize) {
		l.referrers = binary.BigEndian.AppendUint32(l.referrers, l.number(later.repos[binary.BigEndian.Uint32(r)]))
		l.referrers = append(l.referrers, r[4:]...)
		l.loose = true
	}
}
