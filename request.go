package dray

import (
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/plan"
)

// ImportRequest asks for one source image under names in one target registry.
// It means what `az acr import` means by the same words.
type ImportRequest struct {
	// Source is an image: "docker.io/library/nginx:1.25", "nginx", "prod/app@sha256:…".
	// With SourceRegistry it is a path in that registry.
	Source string

	// SourceRegistry is a registry's name, its login server, or an ARM resource ID,
	// whose last segment is the name. A host that Source repeats is trimmed, with a note.
	SourceRegistry string

	// Target is the registry to import into: a configured name (also with the login
	// server's suffix), a host (it has a dot or a port or is localhost), or else the
	// name of an Azure container registry. "" takes Config.Default; where that is ""
	// too, Images and Repositories are full names.
	Target string

	// Images are target names "repository[:tag]". Without a tag the source's is taken,
	// then "latest". Without Images and Repositories the source's own name is the
	// target; a source by digest then arrives by digest only.
	Images []string

	// Repositories receive the content by digest, without a tag.
	Repositories []string

	// Tags are source tags to import in one go, each on its own: Source then names a
	// repository, and Images and Repositories name repositories too. Without Tags,
	// the keys of Map are the tags.
	Tags []string
	Map  plan.TagMap // what the source's tags become

	Overwrite plan.Overwrite // "" is plan.Refuse
	Hold      plan.Hold      // with several source tags; "" is plan.Each
	Backup    plan.Backup    // how a tag is kept that is overwritten; not with plan.Refuse

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// CopyRequest asks for one image, or all tags of a repository, at one or more targets.
type CopyRequest struct {
	// Source is "HOST/REPO[:TAG|@DIGEST]" or "oci:DIR[:TAG|@DIGEST]". With AllTags it is a repository.
	Source string

	// Targets are full names. Without a tag the source's tag is taken; a source by
	// digest without a tag then arrives by digest only. With AllTags they are repositories.
	Targets []string

	Tags Tags
	Map  plan.TagMap // what the source's tags become; with a single tag, where the target names none

	Overwrite plan.Overwrite // "" is plan.Update
	Hold      plan.Hold      // with several source tags; "" is plan.Each
	Backup    plan.Backup    // how a tag is kept that is overwritten; not with plan.Refuse

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// Tags says which tags of a repository a CopyRequest means.
type Tags string

const (
	NamedTag Tags = ""        // the one that Source names
	AllTags  Tags = "all"     // every tag that the source repository lists
	Sharing  Tags = "sharing" // every tag that shares the digest of the image that Source names
)

// TagRequest asks for further tags on an image, in its own repository.
type TagRequest struct {
	Image string      // "HOST/REPO:TAG", "HOST/REPO@DIGEST"; with Map a repository
	Tags  []string    // tags only; a full name elsewhere is Invalid
	Map   plan.TagMap // without Tags: each key gets its values as further tags, and each other tag what Rename makes of it
	Hold  plan.Hold   // with Map; "" is plan.Each
	Login *credential.Login
}

// BatchRequest asks for many images, each on its own.
type BatchRequest struct {
	Entries []BatchEntry

	// Target is the registry of targets that name none, as in ImportRequest.
	Target string

	Overwrite plan.Overwrite // of entries that say nothing; "" is plan.Refuse
	Backup    plan.Backup    // how a tag is kept that is overwritten; not with plan.Refuse
	Hold      plan.Hold      // "" is plan.Each

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// BatchEntry is one line of a list.
type BatchEntry struct {
	Source    string
	Targets   []string       // "repository[:tag]" in the Target registry, or full names; none is the source's own path and tag there
	Paths     bool           // Targets are paths in the Target registry even where they begin like a host
	Overwrite plan.Overwrite // "" is the request's
	Line      int            // in the list, for errors; 0 is none
}

// LookRequest names what is looked at.
type LookRequest struct {
	Name  string            // an image, a repository, "HOST/PREFIX/" or a host, as each verb says
	Login *credential.Login // nil asks Config.Logins
}
