package plan

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
