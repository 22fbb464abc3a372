package ledger

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	// HintsFor is how long the place of a blob is remembered after it was last seen: 90 days.
	HintsFor = 90 * 24 * time.Hour

	// maxHints is how many blobs of a registry are remembered, in about 5 MB. If there are
	// more, those that were not seen for the longest time are dropped.
	maxHints  = 1 << 17
	maxPlaces = 2 // repositories of one blob
)

// Whereabouts remembers in which repositories of a registry blobs were seen. The next run can
// then mount these blobs instead of sending them. The places are only hints: if a repository has
// lost a blob since, the registry refuses the mount. It is safe for concurrent use, also by
// several processes that use the same directory. A nil Whereabouts remembers nothing.
type Whereabouts struct{ dir string }

// Places holds, for each blob, the paths of the repositories that hold it. The repository that
// was seen last comes first.
type Places map[oci.Digest][]string

// NewWhereabouts returns the Whereabouts in the directory dir, or nil if dir is "". It does no
// I/O.
func NewWhereabouts(dir string) *Whereabouts {
	if dir == "" {
		return nil
	}
	return &Whereabouts{filepath.Join(dir, "whereabouts")}
}

func (w *Whereabouts) file(host string) string {
	sum := sha256.Sum256([]byte(host))
	return filepath.Join(w.dir, hex.EncodeToString(sum[:]))
}

// Read returns what is known about the registry at host. For a file that is missing or damaged,
// it returns no places and no error. An error comes from the disk.
func (w *Whereabouts) Read(host string) (Places, error) {
	if w == nil {
		return nil, nil
	}
	raw, _, err := load(w.file(host))
	if err != nil {
		return nil, err
	}
	hints := parseHints(raw, host, time.Now())
	places := make(Places, len(hints))
	for d, h := range hints {
		places[oci.Digest("sha256:"+hex.EncodeToString(d[:]))] = h.at
	}
	return places, nil
}

// Merge adds what was seen now and removes what proved to be wrong. It keeps what other processes
// have added in the meantime. Only sha256 digests are remembered.
func (w *Whereabouts) Merge(host string, seen, wrong Places) error {
	if w == nil || len(seen)+len(wrong) == 0 {
		return nil
	}
	now := time.Now()
	return revise(w.file(host), func(raw []byte, _ time.Time) []byte {
		return hintsFile(merged(parseHints(raw, host, now), seen, wrong, now))
	})
}

// hint holds the repositories of one blob, and the day on which the blob was last seen there.
type hint struct {
	day uint16 // days since 1970-01-01
	at  []string
}

type hints map[[sha256.Size]byte]hint

func dayOf(t time.Time) uint16 { return uint16(t.Unix() / 86400) } //nolint:gosec // fits until the year 2149

func merged(h hints, seen, wrong Places, now time.Time) hints {
	for d, paths := range wrong {
		key, ok := keyOf(d)
		old, known := h[key]
		if !ok || !known {
			continue
		}
		old.at = slices.DeleteFunc(slices.Clone(old.at), func(p string) bool { return slices.Contains(paths, p) })
		if h[key] = old; len(old.at) == 0 {
			delete(h, key)
		}
	}
	for d, paths := range seen {
		key, ok := keyOf(d)
		if !ok {
			continue
		}
		at := slices.Clone(paths)
		for _, p := range h[key].at {
			if !slices.Contains(at, p) {
				at = append(at, p)
			}
		}
		if at = at[:min(len(at), maxPlaces)]; len(at) > 0 {
			h[key] = hint{dayOf(now), at}
		}
	}
	if over := len(h) - maxHints; over > 0 {
		var days []uint16
		for _, x := range h {
			days = append(days, x.day)
		}
		slices.Sort(days)
		for key, x := range h {
			if over > 0 && x.day <= days[len(h)-maxHints-1] {
				delete(h, key)
				over--
			}
		}
	}
	return h
}

func keyOf(d oci.Digest) (key [sha256.Size]byte, ok bool) {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return key, false
	}
	n, err := hex.Decode(key[:], []byte(d.Encoded()))
	return key, err == nil && n == len(key)
}

// hintsHead is the beginning of a file. These parts follow:
//
// - the CRC-32C of the rest
// - the number of repositories, and the length and the bytes of each path
// - for each blob its sha256, the day, the number of its repositories, and their indexes
//
// All numbers except the CRC are uvarints.
var hintsHead = []byte("dray whereabouts 1\n")

func hintsFile(h hints) []byte {
	index := map[string]uint64{}
	var repos []string
	keys := make([][sha256.Size]byte, 0, len(h))
	for key, x := range h {
		keys = append(keys, key)
		for _, p := range x.at {
			if _, have := index[p]; !have {
				index[p] = uint64(len(repos))
				repos = append(repos, p)
			}
		}
	}
	slices.SortFunc(keys, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
	body := binary.AppendUvarint(nil, uint64(len(repos)))
	for _, p := range repos {
		body = append(binary.AppendUvarint(body, uint64(len(p))), p...)
	}
	for _, key := range keys {
		x := h[key]
		body = binary.AppendUvarint(append(body, key[:]...), uint64(x.day))
		body = binary.AppendUvarint(body, uint64(len(x.at)))
		for _, p := range x.at {
			body = binary.AppendUvarint(body, index[p])
		}
	}
	out := binary.BigEndian.AppendUint32(slices.Clone(hintsHead), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, body...)
}

// parseHints returns the hints in a file that are not too old. It returns none if the file is
// damaged.
func parseHints(raw []byte, host string, now time.Time) hints {
	body, ok := bytes.CutPrefix(raw, hintsHead)
	if !ok || len(body) < 4 {
		return hints{}
	}
	if sum := crc32.Checksum(body[4:], crc32.MakeTable(crc32.Castagnoli)); sum != binary.BigEndian.Uint32(body) {
		return hints{}
	}
	r := bytes.NewReader(body[4:])
	n, err := binary.ReadUvarint(r)
	if err != nil || n > uint64(r.Len()) { //nolint:gosec // never negative
		return hints{}
	}
	repos := make([]string, n)
	for i := range repos {
		size, err := binary.ReadUvarint(r)
		if err != nil || size > ref.MaxPath || size > uint64(r.Len()) { //nolint:gosec // never negative
			return hints{}
		}
		var s strings.Builder
		_, _ = io.CopyN(&s, r, int64(size))
		if _, err := ref.NewRepo(host, s.String()); err == nil {
			repos[i] = s.String()
		}
	}
	h := hints{}
	for r.Len() > 0 && len(h) < maxHints {
		var key [sha256.Size]byte
		_, err1 := io.ReadFull(r, key[:])
		day, err2 := binary.ReadUvarint(r)
		many, err3 := binary.ReadUvarint(r)
		if cmp.Or(err1, err2, err3) != nil || many > maxPlaces || day > 1<<16-1 {
			return hints{}
		}
		x := hint{day: uint16(day)}
		for range many {
			i, err := binary.ReadUvarint(r)
			if err != nil || i >= n {
				return hints{}
			}
			if repos[i] != "" {
				x.at = append(x.at, repos[i])
			}
		}
		today := dayOf(now)
		isFresh := x.day <= today+1 && int64(today)-int64(x.day) <= int64(HintsFor/(24*time.Hour))
		if len(x.at) > 0 && isFresh {
			h[key] = x
		}
	}
	return h
}
