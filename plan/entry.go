package plan

import (
	"errors"
	"fmt"

	"github.com/drayage/dray/oci"
)

// Tags says which tags of the source a copy includes:
//   - [NamedTag]: the one that the source names.
//   - [AllTags]: all tags of the source repository.
//   - [Sharing]: all tags that point to the same image.
type Tags string

// The Tags of a copy.
const (
	NamedTag Tags = ""        // The tag that the source names.
	AllTags  Tags = "all"     // Every tag that the source repository lists.
	Sharing  Tags = "sharing" // Every tag that has the digest of the image that the source names.
)

// Entry is one image of a batch.
type Entry struct {
	Source string // the full name of an image

	// Targets are names "repository[:tag]" in the registry of the batch, or full names. If there are
	// none, the target is that registry with the path and the tag of the source.
	Targets   []string
	Paths     bool      // Targets are paths in the registry of the batch, also if they begin like a host
	Overwrite Overwrite // "" means the Overwrite of the batch
	Line      int       // the line in the list, for errors; 0 means none
}

// Platforms says which platforms of an image to copy. The zero value means all of them.
//
// An image that names no platform is always copied whole: a Helm chart, a signature, an index of such. So is
// a single manifest that is for a platform of Only.
type Platforms struct {
	Only  []oci.Platform // none means all; see oci.ParsePlatforms
	Form  Form           // what becomes of an index; "" means Trimmed
	Lacks Lacks          // what to do about platforms that an image does not have; "" means Required
}

// Lacks says what to do about an image that does not have all of the platforms:
//   - [Required]: it is an error.
//   - [Optional]: copy those that it has.
type Lacks string

const (
	// Required means that an image that lacks one of the platforms is not copied, and is an error.
	Required Lacks = ""
	// Optional means that the platforms that the image has are copied. An image without any of them is left
	// out, and a note names it.
	Optional Lacks = "optional"
)

// All reports whether all platforms are copied.
func (p Platforms) All() bool { return len(p.Only) == 0 }

// Check checks that the fields fit each other. The error is [fault.Invalid].
func (p Platforms) Check() error {
	bad := func(cause string) error {
		return invalid("read platforms", oci.PlatformsString(p.Only), errors.New(cause), "name the platforms to copy")
	}
	switch {
	case p.Form != Trimmed && p.Form != Sparse:
		return bad(fmt.Sprintf("unknown form of an index %q", p.Form))
	case p.Lacks != Required && p.Lacks != Optional:
		return bad(fmt.Sprintf("unknown rule for platforms that are missing %q", p.Lacks))
	case p.All() && p.Form == Sparse:
		return bad("an index is sparse only if some of its platforms are copied, and all are asked for")
	case p.All() && p.Lacks == Optional:
		return bad("platforms can be optional only if they are named, and all are asked for")
	}
	return nil
}
