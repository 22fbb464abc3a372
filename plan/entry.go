package plan

// Tags says which tags of a repository a CopyRequest means.
type Tags string

const (
	NamedTag Tags = ""        // the one that Source names
	AllTags  Tags = "all"     // every tag that the source repository lists
	Sharing  Tags = "sharing" // every tag that shares the digest of the image that Source names
)

// Entry is one line of a list.
type Entry struct {
	Source    string
	Targets   []string  // "repository[:tag]" in the Target registry, or full names; none is the source's own path and tag there
	Paths     bool      // Targets are paths in the Target registry even where they begin like a host
	Overwrite Overwrite // "" is the request's
	Line      int       // in the list, for errors; 0 is none
}
