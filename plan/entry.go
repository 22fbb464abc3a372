package plan

// Tags says which tags of the source a copy includes:
//
//   - [NamedTag]: the one that the source names.
//   - [AllTags]: all tags of the source repository.
//   - [Sharing]: all tags that point to the same image.
type Tags string

const (
	// NamedTag is the tag that the source names.
	NamedTag Tags = ""

	// AllTags is every tag that the source repository lists.
	AllTags Tags = "all"

	// Sharing is every tag that has the digest of the image that the source names.
	Sharing Tags = "sharing"
)

// Entry is one image of a batch.
type Entry struct {
	Source string // the full name of an image

	// Targets are names "repository[:tag]" in the registry of the batch, or full names. If there are
	// none, the target is that registry with the path and the tag of the source.
	Targets []string

	// Paths says that Targets are paths in the registry of the batch, also if they begin like a host.
	Paths bool

	Overwrite Overwrite // "" means the Overwrite of the batch
	Line      int       // the line in the list, for errors; 0 means none
}
