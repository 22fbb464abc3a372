package world

import "github.com/drayage/dray/plan"

// World is all that is drawn. Two equal Worlds differ in nothing but the order in which goroutines run.
type World struct {
	Work      Work
	Overwrite plan.Overwrite
	Referrers plan.ReferrerMode
	Platforms bool // copy linux/amd64 only
	Source    Side
	Target    Side
	Images    []Image
	Faults    []Fault
	Pieces    bool // the target takes uploads in pieces
	Fresh     bool // each run is that of a new process
}

// Side is one of the two registries.
type Side struct {
	Kind  Kind
	Login Login
	Away  bool // blobs are read from another host, to which the registry redirects
}

// Kind is the product of a registry.
type Kind string

// The kinds of registries. Distribution checks what it gets, the others do not; only API lists referrers.
const (
	Distribution Kind = "distribution"
	Sloppy       Kind = "sloppy"
	API          Kind = "api"
)

// Login says how a registry wants to be asked.
type Login string

// The logins. Apart has its tokens from another host, which may see the login. Anonymous gives tokens without one.
const (
	Bearer    Login = "bearer"
	Apart     Login = "apart"
	Basic     Login = "basic"
	Anonymous Login = "anonymous"
)

// Image is an image of the source, with the tag "v" and its number.
type Image struct {
	Repo      int    // of two
	Seed      uint64 // images with the same seed and size have the same layers
	Layers    int
	Size      int64
	Docker    bool
	Platforms int // of an index; 0 is a single manifest
	Nested    bool
	Referrers []int // the document that each refers to, counted from the newest: an image, a child, or another referrer
	Before    Before
}

// Before says what a name at the target is before the first run.
type Before string

// What may be there before: nothing, the blobs, the whole image without its tag, in another repository, under its tag,
// with all that refers to it, or another image.
const (
	Nothing   Before = "nothing"
	Blobs     Before = "blobs"
	Untagged  Before = "untagged"
	Elsewhere Before = "elsewhere"
	Same      Before = "same"
	Signed    Before = "signed"
	Another   Before = "another"
)

// Work is what is asked of dray.
type Work string

// The works: all tags of a repository; all repositories below a prefix to another one, with one tag left out; one image
// to several names; and new tags for an image of the target.
const (
	Copy     Work = "copy"
	Transfer Work = "transfer"
	Import   Work = "import"
	Tag      Work = "tag"
)

// Left is the tag that a transfer leaves out.
const Left = "v3"

// Fault is something that goes wrong at some of the requests that it fits.
type Fault struct {
	Name    string
	At      int64 // an offset in bytes
	Percent int
	Dice    uint64
}
