package wire

import (
	"time"

	"github.com/drayage/dray/fault"
)

// DefaultListen is where a server listens unless told otherwise.
const DefaultListen = "127.0.0.1:5000"

// Finding is one thing of a server that was looked at.
type Finding struct {
	What string     `json:"what"` // "database", "storage", …
	OK   bool       `json:"ok"`
	Text string     `json:"text"`
	Hint string     `json:"hint,omitempty"`
	Kind fault.Kind `json:"kind,omitempty"` // of what is not OK
}

// Saved says what a backup of a server holds. It is its file backup.json, written last.
type Saved struct {
	Created  time.Time `json:"created"`
	Database string    `json:"database"` // "sqlite", or "postgres": then it is not in the backup
	Key      bool      `json:"key"`      // the key that seals secrets is in it
	Content  bool      `json:"content"`  // the registry's content is in it
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
}

// Collected is what clean-up of a server's registry did, or with DryRun would do.
type Collected struct {
	Repositories int `json:"repositories"`
	Kept         struct {
		Manifests int   `json:"manifests"`
		Blobs     int   `json:"blobs"` // files, of manifests too; each once for all repositories
		Bytes     int64 `json:"bytes"` // of those files
	} `json:"kept"`
	Removed struct {
		Manifests int   `json:"manifests"`
		Links     int   `json:"links"` // blobs that a repository no longer shows
		Blobs     int   `json:"blobs"`
		Bytes     int64 `json:"bytes"`
	} `json:"removed"`
	DryRun bool `json:"dryRun"`
}
