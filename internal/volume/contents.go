package volume

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Format is the format of the bundles that this package writes.
const Format = "dray-bundle/1"

const (
	ours         = "dray"
	contentsFile = ours + "/contents.json"
	layoutText   = `{"imageLayoutVersion":"` + v1.ImageLayoutVersion + `"}`
)

// Contents says what a bundle brings, over all of its volumes.
type Contents struct {
	Format    string     `json:"format"`
	Made      time.Time  `json:"made"`
	Volumes   int        `json:"volumes"`
	Names     []Name     `json:"names"`
	Documents []Document `json:"documents"`
	Blobs     []Blob     `json:"blobs"`
	Absent    []Absent   `json:"absent,omitempty"`
	Receiver  string     `json:"receiver,omitempty"` // who has the absent blobs, as its list says, such as "prod.example/mirror/"
}

// Name is one name that the bundle sets at the receiver. Without a tag, the content is stored by digest.
type Name struct {
	Repo    string     `json:"repo"` // its path at the receiver, below the target
	Tag     string     `json:"tag,omitempty"`
	Digest  oci.Digest `json:"digest"`
	Subject oci.Digest `json:"subject,omitempty"` // what it refers to, if it is a referrer
	From    string     `json:"from"`              // the repository that it was read from

	Origin    oci.Digest `json:"origin,omitempty"`    // its digest at From, if the bundle has a trimmed index of it
	Platforms string     `json:"platforms,omitempty"` // what the bundle has of it, as oci.ParsePlatforms reads it; "" means all
}

// Sparse reports whether the bundle has the index as it is, and only some of the images that it lists.
func (n Name) Sparse() bool { return n.Platforms != "" && n.Origin == "" }

// Only returns the platforms that the bundle has of n; none means all. The error is Invalid.
func (n Name) Only() ([]oci.Platform, error) {
	if n.Platforms == "" {
		return nil, nil
	}
	return oci.ParsePlatforms(n.Platforms)
}

// String returns the whole reference, which is also the name of the image in index.json.
func (n Name) String() string {
	if n.Tag == "" {
		return n.Repo + "@" + string(n.Digest)
	}
	return n.Repo + ":" + n.Tag
}

// Document is a manifest or an index. Each volume has all of them.
type Document struct {
	Digest    oci.Digest `json:"digest"`
	Size      int64      `json:"size"`
	MediaType string     `json:"mediaType"`
}

// Descriptor returns the descriptor of d.
func (d Document) Descriptor() oci.Descriptor {
	return oci.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// Blob is a config or a layer.
type Blob struct {
	Digest oci.Digest `json:"digest"`
	Size   int64      `json:"size"`
	Volume int        `json:"volume"` // the number of the volume that has it; the first is 1
}

// Absent is a blob that the names need and that is not in the bundle, because the receiver has it.
type Absent struct {
	Digest oci.Digest `json:"digest"`
	Size   int64      `json:"size"`
	At     string     `json:"at"` // a repository of the receiver that holds it
}

// List says which files a volume has after the list itself, in their order.
type List struct {
	Format  string     `json:"format"`
	Bundle  oci.Digest `json:"bundle"` // the digest of the contents, which identifies the bundle
	Volume  int        `json:"volume"`
	Volumes int        `json:"volumes"`
	Files   []File     `json:"files"`
}

// File is one file of a volume.
type File struct {
	Path   string     `json:"path"`
	Size   int64      `json:"size"`
	Digest oci.Digest `json:"digest"`
}

func (f File) descriptor() oci.Descriptor { return oci.Descriptor{Digest: f.Digest, Size: f.Size} }

// buffer returns a buffer to read the file with, of at most 1 MiB. It is small for a small file, of which a bundle may
// have very many.
func (f File) buffer() []byte { return make([]byte, min(f.Size+1, 1<<20)) }

// maxList limits the list of a volume, and the contents.
const maxList = 1 << 30

var listName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^dray/volume-([1-9][0-9]{0,5})-of-([1-9][0-9]{0,5})\.sha256-([0-9a-f]{64})\.json$`)
})

// listPath returns the path of a list whose bytes are raw.
func listPath(volume, volumes int, raw []byte) string {
	return fmt.Sprintf("%s/volume-%d-of-%d.sha256-%s.json", ours, volume, volumes, oci.Sum(raw).Encoded())
}

// parseListPath is the inverse of listPath.
func parseListPath(path string) (volume, volumes int, d oci.Digest, ok bool) {
	m := listName().FindStringSubmatch(path)
	if m == nil {
		return 0, 0, "", false
	}
	volume, _ = strconv.Atoi(m[1])
	volumes, _ = strconv.Atoi(m[2])
	return volume, volumes, oci.Digest("sha256:" + m[3]), true
}

func blobPath(d oci.Digest) string {
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

// parseList reads a list and checks that its files stay inside the volume.
func parseList(raw []byte) (List, error) {
	var l List
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, fmt.Errorf("its list is not JSON: %w", err)
	}
	if l.Format != Format {
		return l, fmt.Errorf("its format is %.50q; this dray reads %s", l.Format, Format)
	}
	seen := map[string]bool{}
	for _, f := range l.Files {
		own := f.Path == v1.ImageLayoutFile || f.Path == v1.ImageIndexFile || f.Path == contentsFile
		if ref.Digest(string(f.Digest)) != nil || f.Size < 0 || seen[f.Path] || !own && f.Path != blobPath(f.Digest) {
			return l, fmt.Errorf("its list has a file %.150q that cannot be in a bundle", f.Path)
		}
		seen[f.Path] = true
	}
	return l, nil
}

// parseContents reads the contents and checks what they say.
func parseContents(raw []byte) (*Contents, error) {
	var c Contents
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("its contents are not JSON: %w", err)
	}
	if c.Format != Format {
		return nil, fmt.Errorf("the format of its contents is %.50q; this dray reads %s", c.Format, Format)
	}
	for _, n := range c.Names {
		if _, err := ref.NewRepo("localhost", n.Repo); err != nil {
			return nil, fmt.Errorf("its contents have the name %.150q: %w", n.Repo, err)
		}
		if n.Tag != "" && ref.Tag(n.Tag) != nil || ref.Digest(string(n.Digest)) != nil {
			return nil, fmt.Errorf("its contents have the name %.150q, which is not one", n.String())
		}
		if n.Origin != "" && ref.Digest(string(n.Origin)) != nil {
			return nil, fmt.Errorf("its contents have %.150q, trimmed from %.100q, which is no digest", n.String(), n.Origin)
		}
		if _, err := n.Only(); err != nil {
			return nil, fmt.Errorf("its contents have the name %.150q: %w", n.String(), err)
		}
	}
	return &c, nil
}
