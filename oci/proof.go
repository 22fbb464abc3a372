package oci

// Proof says how dray makes sure that a target has a blob:
//
//   - [Claimed]: it believes the target and its own records.
//   - [Sized]: it asks the target for each blob and compares the size.
//   - [Hashed]: it also reads each blob back and compares the digest.
type Proof string

const (
	// Claimed believes what the target said, and what dray saw there earlier. It mounts blobs without
	// asking for them first.
	Claimed Proof = ""

	// Sized asks the target for each blob, whether it is there and which size it has: before a blob
	// is skipped, and after it was copied. What dray saw, mounted or sent earlier does not count.
	Sized Proof = "sized"

	// Hashed does what Sized does, and also reads each blob back. A blob whose bytes do not match its
	// digest is sent again, and read again.
	Hashed Proof = "hashed"
)

// Blobs counts what happened to the blobs that a repository needed.
type Blobs struct {
	Sent    int   `json:"sent"`              // blobs whose bytes were sent over the network
	Mounted int   `json:"mounted"`           // blobs that the registry linked from another repository
	Present int   `json:"present"`           // blobs that the target already had
	Brought int   `json:"brought,omitempty"` // blobs that a service at the target imported, such as that of Azure
	Bytes   int64 `json:"bytes"`             // total size in bytes of the blobs sent
	Proven  int   `json:"proven,omitempty"`  // blobs that the target has, as it said when asked; see Proof
}

// And returns the sum of b and what happened to other blobs.
func (b Blobs) And(others Blobs) Blobs {
	return Blobs{
		Sent:    b.Sent + others.Sent,
		Mounted: b.Mounted + others.Mounted,
		Present: b.Present + others.Present,
		Brought: b.Brought + others.Brought,
		Bytes:   b.Bytes + others.Bytes,
		Proven:  b.Proven + others.Proven,
	}
}
