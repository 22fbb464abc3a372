package wire

import (
	"time"

	"github.com/drayage/dray/fault"
)

// DefaultListen is the address on which a server listens by default.
const DefaultListen = "127.0.0.1:5000"

// EmbeddedName is the name of the embedded registry in requests, unless a configured registry has
// this name or the host of the embedded registry. Imports go to the embedded registry if no default is
// configured.
const EmbeddedName = "dray"

// Finding is the result of one check of a server.
type Finding struct {
	What string     `json:"what"` // what was checked: "database", "storage", …
	OK   bool       `json:"ok"`
	Text string     `json:"text"`
	Hint string     `json:"hint,omitempty"`
	Kind fault.Kind `json:"kind,omitempty"` // of the problem; "" if OK
}

// Space is the Finding about the free space on the disk of a server's registry.
const Space = "space"

// Saved describes the contents of a backup of a server. The backup has it as its file backup.json,
// which is written last.
type Saved struct {
	Created  time.Time `json:"created"`
	Database string    `json:"database"` // "sqlite" or "postgres"; a PostgreSQL database is not in the backup
	Key      bool      `json:"key"`      // whether the backup has the key that seals secrets
	Content  bool      `json:"content"`  // whether the backup has the registry's content
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
}

// Collected is the result of a clean-up of a server's registry. With DryRun it says what a clean-up
// would do.
type Collected struct {
	Repositories int `json:"repositories"`
	Kept         struct {
		Manifests int   `json:"manifests"`
		Blobs     int   `json:"blobs"` // files, including manifests; a file that several repositories share counts once
		Bytes     int64 `json:"bytes"` // total size of these files

		Uploads     int   `json:"uploads"` // unfinished, and continued within the last day
		UploadBytes int64 `json:"uploadBytes"`
	} `json:"kept"`
	Removed struct {
		Manifests int   `json:"manifests"`
		Links     int   `json:"links"` // blobs that a repository no longer serves
		Blobs     int   `json:"blobs"`
		Bytes     int64 `json:"bytes"`

		Tags        int   `json:"tags"`    // that led nowhere, because a server was killed before it had set them
		Uploads     int   `json:"uploads"` // unfinished, and not continued for a day
		UploadBytes int64 `json:"uploadBytes"`
	} `json:"removed"`
	DryRun bool `json:"dryRun"`
}
