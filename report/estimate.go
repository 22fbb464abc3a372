package report

import (
	"time"
)

// DefaultRate is the network speed, in bytes per second, that an estimate assumes if none is given.
const DefaultRate = 50 << 20

// Estimate is what a plan would copy and how many requests it would need, given what both ends hold
// now.
type Estimate struct {
	Images    int `json:"images"`    // images to copy; an image counts once for each target repository
	Tags      int `json:"tags"`      // tags to set
	Documents int `json:"documents"` // manifests and indexes to put

	Referrers int `json:"referrers,omitempty"` // signatures and other documents that travel with the images

	// A blob counts once for each target repository that needs it.
	Blobs   int   `json:"blobs"`      // all of them
	Present int   `json:"present"`    // blobs that the target repository already has
	Mounted int   `json:"mounted"`    // blobs that another repository of the target registry has or gets
	Sent    int   `json:"sent"`       // blobs to send
	Bytes   int64 `json:"bytes"`      // size of the blobs to send
	Saved   int64 `json:"bytesSaved"` // size of the blobs that are present or mounted

	Registries map[string]RegistryEstimate `json:"registries"`      // by host
	Time       time.Duration               `json:"timeNanoseconds"` // how long the plan would take
	Rate       int64                       `json:"bytesPerSecond"`  // the network speed that Time assumes
	// Unknown names what could not be read, with the reason, and has at most MaxRetags entries. They
	// are not counted above.
	Unknown []string `json:"unknown,omitempty"`
}

// RegistryEstimate is the number of requests and bytes for one registry.
type RegistryEstimate struct {
	Reads    int   `json:"reads"`              // GET and HEAD requests
	Writes   int   `json:"writes"`             // POST, PUT and PATCH requests
	Pulls    int   `json:"pulls,omitempty"`    // the reads that Docker Hub counts as pulls
	Sent     int64 `json:"sent,omitempty"`     // bytes of blobs sent to the registry
	Received int64 `json:"received,omitempty"` // bytes of blobs received from the registry

	// Limits are the limits that the registry is known to have, in words. AtLeast is the minimum
	// time that the requests take because of them.
	Limits  []string      `json:"limits,omitempty"`
	AtLeast time.Duration `json:"atLeastNanoseconds,omitempty"`
}
