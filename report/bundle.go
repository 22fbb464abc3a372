package report

import (
	"time"

	"github.com/drayage/dray/oci"
)

// Bundle says what a bundle has.
type Bundle struct {
	ID        oci.Digest `json:"id"` // the digest of its list of contents
	Volumes   []Volume   `json:"volumes"`
	Names     int        `json:"names"`
	Documents int        `json:"documents"` // manifests and indexes
	Blobs     int        `json:"blobs"`     // blobs that are in the bundle
	Bytes     int64      `json:"bytes"`     // size of these blobs

	// Absent counts the blobs that the names need and that are not in the bundle, because the receiver has
	// them. AbsentBytes is their size.
	Absent      int   `json:"absent"`
	AbsentBytes int64 `json:"absentBytes"`

	// Waiting are the volumes that were not given, and that names still need. Only Dray.LoadBundle sets it.
	Waiting []int `json:"waiting,omitempty"`
	// WaitingNames are the names that wait for them, such as "library/nginx:1.27".
	WaitingNames []string `json:"waitingNames,omitempty"`
	// Damages are what is not as it was written. Only Dray.VerifyBundle and Dray.LoadBundle set it.
	Damages []Damage `json:"damages,omitempty"`
	// Receipt is the file of the receipt. Only Dray.LoadBundle sets it.
	Receipt string `json:"receipt,omitempty"`
}

// Volume is one file or directory of a bundle.
type Volume struct {
	File   string `json:"file"`
	Number int    `json:"number"`          // the first is 1
	Bytes  int64  `json:"bytes,omitempty"` // 0 for a directory
}

// Damage is one part of a bundle that is not as it was written.
type Damage struct {
	File   string     `json:"file"`
	Volume int        `json:"volume,omitempty"` // its number; 0 if not even that can be read
	Part   string     `json:"part,omitempty"`   // the file in the volume; "" for the volume as a whole
	Digest oci.Digest `json:"digest,omitempty"` // of the manifest or blob; "" for another file
	Names  []string   `json:"names,omitempty"`  // at most three of the images that need it
	Text   string     `json:"text"`             // one line for a person
}

// Have says what a list of a receiver has.
type Have struct {
	Of           string    `json:"of"`
	Made         time.Time `json:"made"`
	Repositories int       `json:"repositories"`
	Tags         int       `json:"tags"`
	Blobs        int       `json:"blobs"`
	Referrers    int       `json:"referrers"` // documents without a tag that refer to others
}
