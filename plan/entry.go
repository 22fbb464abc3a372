package plan

// Tags says which tags of a repository a copy means.
type Tags string

const (
	NamedTag Tags = ""        // the one that the source names
	AllTags  Tags = "all"     // every tag that the source repository lists
	Sharing  Tags = "sharing" // every tag that shares the digest of the image that the source names
)

// Entry is one line of a list of images, for a batch.
type Entry struct {
	Source    string
	Targets   []string  // "repository[:tag]" in the batch's registry, or full names; none is the source's own path and tag there
	Paths     bool      // Targets are paths in that registry even where they begin like a host
	Overwrite Overwrite // "" is the request's
	Line      int       // in the list, for errors; 0 is none
}
