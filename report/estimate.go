package report

import (
	"time"
)

// DefaultRate is what Estimate takes a link to carry, in bytes a second.
const DefaultRate = 50 << 20

// Estimate is what a plan would move and ask for, as both ends are now.
type Estimate struct {
	Images    int `json:"images"`    // that move, each once for a target repository
	Tags      int `json:"tags"`      // that are set
	Documents int `json:"documents"` // manifests and indexes that are put

	// Blobs are counted once for each target repository that needs them.
	Blobs   int   `json:"blobs"`
	Present int   `json:"present"` // there already
	Mounted int   `json:"mounted"` // another repository of the registry has or gets them
	Sent    int   `json:"sent"`
	Bytes   int64 `json:"bytes"`      // of the blobs that are sent
	Saved   int64 `json:"bytesSaved"` // of those that are there or mounted

	Registries map[string]RegistryEstimate `json:"registries"` // by host
	Time       time.Duration               `json:"timeNanoseconds"`
	Rate       int64                       `json:"bytesPerSecond"`
	Unknown    []string                    `json:"unknown,omitempty"` // what could not be looked at, up to MaxRetags; nothing of it is counted
}

// RegistryEstimate is what one registry would be asked for.
type RegistryEstimate struct {
	Reads    int   `json:"reads"`              // GET and HEAD requests
	Writes   int   `json:"writes"`             // POST, PUT and PATCH requests
	Pulls    int   `json:"pulls,omitempty"`    // of the reads, those that Docker Hub counts
	Sent     int64 `json:"sent,omitempty"`     // bytes of blobs that it receives
	Received int64 `json:"received,omitempty"` // bytes of blobs that it gives

	// Limits are what the registry is known to allow, in words; AtLeast is how long they
	// make the requests take.
	Limits  []string      `json:"limits,omitempty"`
	AtLeast time.Duration `json:"atLeastNanoseconds,omitempty"`
}
