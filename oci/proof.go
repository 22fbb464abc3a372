package oci

// Proof says how much of what is known of a target's blobs is believed.
type Proof string

const (
	// Claimed believes what the target said or was seen to hold, and mounts unasked.
	Claimed Proof = ""

	// Sized asks the target itself for each blob, before it is left out and after it was
	// brought: presence and size. Nothing that was seen, mounted or sent counts.
	Sized Proof = "sized"

	// Hashed is Sized, and reads each blob back: one whose bytes differ from its digest is
	// sent again, and read again.
	Hashed Proof = "hashed"
)

// Blobs counts what became of the blobs that a repository needed.
type Blobs struct {
	Sent    int   `json:"sent"`             // blobs whose bytes went over the network
	Mounted int   `json:"mounted"`          // blobs that the registry linked
	Present int   `json:"present"`          // blobs that were there
	Bytes   int64 `json:"bytes"`            // size in bytes of the blobs sent
	Proven  int   `json:"proven,omitempty"` // blobs that the target was asked for, and has: see Proof
}
