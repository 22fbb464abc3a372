package wire

import (
	"encoding/json"
	"errors"

	"github.com/drayage/dray/fault"
)

// The kinds of jobs. Each is one verb.
const (
	KindImport   = "import"
	KindCopy     = "copy"
	KindTag      = "tag"
	KindBatch    = "batch"
	KindTransfer = "transfer"
	KindPlan     = "plan"
	KindApply    = "apply"
	KindVerify   = "verify"
)

// Kinds returns all kinds, in the order of the documentation.
func Kinds() []string {
	return []string{KindImport, KindCopy, KindTag, KindBatch, KindTransfer, KindPlan, KindApply, KindVerify}
}

// Request is a request for one verb. In addition to Kind, exactly one field is set: the one that Kind names.
type Request struct {
	Kind     string    `json:"kind"`
	Import   *Import   `json:"import,omitempty"`
	Copy     *Copy     `json:"copy,omitempty"`
	Tag      *Tag      `json:"tag,omitempty"`
	Batch    *Batch    `json:"batch,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`
	Plan     *Plan     `json:"plan,omitempty"`
	Apply    *Apply    `json:"apply,omitempty"`
	Verify   *Verify   `json:"verify,omitempty"`
}

// Foreign returns where r says whether foreign layers are copied; nil for a verb that copies none.
func (r Request) Foreign() **bool {
	switch {
	case r.Import != nil:
		return &r.Import.IncludeForeign
	case r.Copy != nil:
		return &r.Copy.IncludeForeign
	case r.Batch != nil:
		return &r.Batch.IncludeForeign
	case r.Transfer != nil:
		return &r.Transfer.IncludeForeign
	case r.Apply != nil:
		return &r.Apply.IncludeForeign
	case r.Verify != nil:
		return &r.Verify.IncludeForeign
	case r.Plan != nil && !r.Plan.Uploaded && r.Plan.File == nil:
		return r.Plan.Of().Foreign()
	}
	return nil
}

// Bringing returns where r says who brings blobs to its targets; nil for a verb that brings none.
func (r Request) Bringing() *Bringing {
	switch {
	case r.Import != nil:
		return &r.Import.Bringing
	case r.Copy != nil:
		return &r.Copy.Bringing
	case r.Batch != nil:
		return &r.Batch.Bringing
	case r.Transfer != nil:
		return &r.Transfer.Bringing
	case r.Apply != nil:
		return &r.Apply.Bringing
	case r.Plan != nil && !r.Plan.Uploaded && r.Plan.File == nil:
		return r.Plan.Of().Bringing()
	}
	return nil
}

// Bringing says who brings the blobs of images to registries of Azure.
type Bringing struct {
	Via string `json:"via,omitempty" enum:"dray,azure,auto" doc:"who brings images to registries of Azure: dray copies them, azure imports them itself, auto lets Azure import what it can; default: the server's configuration"`
}

// Unseen returns where r says what happens to images that the server cannot see; nil for a verb that has no such
// images.
func (r Request) Unseen() *Unseen {
	switch {
	case r.Import != nil:
		return &r.Import.Unseen
	case r.Copy != nil:
		return &r.Copy.Unseen
	case r.Batch != nil:
		return &r.Batch.Unseen
	case r.Plan != nil && !r.Plan.Uploaded && r.Plan.File == nil:
		return r.Plan.Of().Unseen()
	}
	return nil
}

// Unseen says what happens to images that only Azure can see at their source.
type Unseen struct {
	AcceptUnseen bool `json:"acceptUnseen,omitempty" doc:"let Azure import, by its tag, an image that the server cannot see at its source; all that arrives is looked at, but nothing compares it with the source"`
}

// Login is a login that the server uses for a registry instead of the one that it has configured or
// stored.
type Login struct {
	Scheme   string `json:"scheme,omitempty" enum:"basic,refresh,bearer,exchange" doc:"how the login is presented to the registry; default: basic"`
	User     string `json:"user,omitempty" doc:"the user name; only with scheme basic"`
	Password string `json:"password" writeOnly:"true" doc:"the password; with any other scheme, the token"`
}

// Logins are logins for one job only. The server stores them sealed, and deletes them when the job
// ends.
type Logins struct {
	SourceLogin *Login `json:"sourceLogin,omitempty" doc:"login for the source registries; it is stored sealed and deleted when the job ends"`
	TargetLogin *Login `json:"targetLogin,omitempty" doc:"login for the target registries; it is stored sealed and deleted when the job ends"`
}

// Referrers is the JSON form of plan.Referrers.
type Referrers struct {
	Mode        string            `json:"mode,omitempty" enum:"true,false,moving,sync,require" doc:"true or moving: with each image that moves; sync: also to images that are up to date; require: as true, and one that the target refuses is a failure; false: never"`
	Types       []string          `json:"types,omitempty" maxItems:"100" doc:"only referrers of these artifact types" example:"[\"application/spdx+json\"]"`
	Annotations map[string]string `json:"annotations,omitempty" doc:"only referrers with all of these annotations"`
}

// Platforms is the JSON form of plan.Platforms.
type Platforms struct {
	Only     []string `json:"only,omitempty" maxItems:"100" doc:"platforms to copy, or all" example:"[\"linux/amd64\",\"linux/arm64/v8\"]"`
	Sparse   bool     `json:"sparse,omitempty" doc:"keep the index with its digest, although not all of its images are copied; some registries refuse that; default: an index of these platforms alone"`
	Optional bool     `json:"optional,omitempty" doc:"copy the platforms that an image has; default: an image that lacks one is an error"`
}

// Tagging says how tags are renamed on the way from source to target.
type Tagging struct {
	Map    []string `json:"map,omitempty" doc:"FROM=TO copies the source tag FROM as the tag TO" example:"[\"v1=stable\"]"`
	Rename []string `json:"rename,omitempty" doc:"substitutions s/RE2/TEXT/ for the tags that map does not name; all are applied, in this order" example:"[\"s/^v(.*)$/$1/\"]"`
}

// Import is the JSON form of dray.ImportRequest.
type Import struct {
	Source         string   `json:"source" minLength:"1" doc:"an image; with sourceRegistry: its path in that registry" example:"docker.io/library/nginx:1.27"`
	SourceRegistry string   `json:"sourceRegistry,omitempty" doc:"a configured name, a host, the name of an Azure container registry, or an ARM resource ID"`
	Target         string   `json:"target,omitempty" doc:"the registry to import into: a configured name, a host, or the name of an Azure container registry; default: the server's default registry"`
	Images         []string `json:"images,omitempty" doc:"target names, each repository[:tag]; default: the repository and tag of the source"`
	Repositories   []string `json:"repositories,omitempty" doc:"repositories that receive the image by digest, without a tag"`
	Tags           []string `json:"tags,omitempty" doc:"source tags to import together; the source is then a repository"`
	Tagging
	Overwrite      string    `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"what happens to a target tag with another digest: refuse keeps the tag and reports a conflict, update moves the tag, always pushes everything again even if it is equal; default: refuse"`
	Hold           string    `json:"hold,omitempty" enum:"each,all" doc:"for several tags: with each, every step is independent; with all, no tag is set unless all can be set; default: each"`
	Backup         string    `json:"backup,omitempty" doc:"tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}; it may contain {tag}, {digest12}, {digest} and {date}"`
	Referrers      Referrers `json:"referrers,omitzero" doc:"what travels with an image, such as its signatures; default: the server's configuration"`
	Platforms      Platforms `json:"platforms,omitzero" doc:"which platforms of an image are copied; default: the server's configuration"`
	IncludeForeign *bool     `json:"includeForeign,omitempty" doc:"also copy foreign layers, which a manifest lists with the URLs of their publisher; false leaves them there; default: the server's configuration"`
	Gates          []string  `json:"gates,omitempty" doc:"gates of the server's configuration that each image must pass, in addition to the one that every image must pass"`
	Bringing
	Unseen
	Logins
}

// Copy is the JSON form of dray.CopyRequest.
type Copy struct {
	Source  string   `json:"source" minLength:"1" doc:"HOST/REPO[:TAG|@DIGEST]; with all set to all: a repository"`
	Targets []string `json:"targets" minItems:"1" doc:"full names; a name without a tag gets the tag of the source"`
	All     string   `json:"all,omitempty" enum:"all,sharing" doc:"all copies every tag of the repository; sharing copies every tag that has the digest of source; default: only the tag of source"`
	Tagging
	Overwrite      string    `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"what happens to a target tag with another digest: refuse keeps the tag and reports a conflict, update moves the tag, always pushes everything again even if it is equal; default: update"`
	Hold           string    `json:"hold,omitempty" enum:"each,all" doc:"for several tags: with each, every step is independent; with all, no tag is set unless all can be set; default: each"`
	Backup         string    `json:"backup,omitempty" doc:"tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}; it may contain {tag}, {digest12}, {digest} and {date}"`
	SkipBroken     bool      `json:"skipBroken,omitempty" doc:"leave out tags that the source lists and whose manifest does not exist, and name them in the report; without it, such a tag fails"`
	Referrers      Referrers `json:"referrers,omitzero" doc:"what travels with an image, such as its signatures; default: the server's configuration"`
	Platforms      Platforms `json:"platforms,omitzero" doc:"which platforms of an image are copied; default: the server's configuration"`
	IncludeForeign *bool     `json:"includeForeign,omitempty" doc:"also copy foreign layers, which a manifest lists with the URLs of their publisher; false leaves them there; default: the server's configuration"`
	Gates          []string  `json:"gates,omitempty" doc:"gates of the server's configuration that each image must pass, in addition to the one that every image must pass"`
	Bringing
	Unseen
	Logins
}

// Tag is the JSON form of dray.TagRequest.
type Tag struct {
	Image string   `json:"image" minLength:"1" doc:"HOST/REPO:TAG or HOST/REPO@DIGEST; with map or rename: a repository"`
	Tags  []string `json:"tags,omitempty" doc:"the tags to add"`
	Tagging
	Hold  string `json:"hold,omitempty" enum:"each,all" doc:"only with map or rename: with each, every step is independent; with all, no tag is set unless all can be set; default: each"`
	Login *Login `json:"login,omitempty" doc:"login for the registry; it is stored sealed and deleted when the job ends"`
}

// Batch is the JSON form of dray.BatchRequest.
type Batch struct {
	Entries        []BatchEntry `json:"entries" minItems:"1" doc:"the images to copy; each entry is independent of the others"`
	List           string       `json:"list,omitempty" maxLength:"4096" doc:"the name of the list that has the entries; messages name it"`
	Target         string       `json:"target,omitempty" doc:"the registry of every target that does not name a registry"`
	Overwrite      string       `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"the overwrite of every entry that sets none; default: refuse"`
	Hold           string       `json:"hold,omitempty" enum:"each,all" doc:"with each, every step is independent; with all, no tag is set unless all can be set; default: each"`
	Backup         string       `json:"backup,omitempty" doc:"tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}; it may contain {tag}, {digest12}, {digest} and {date}"`
	SkipBroken     bool         `json:"skipBroken,omitempty" doc:"leave out tags that the source lists and whose manifest does not exist, and name them in the report; without it, such a tag fails"`
	Proof          string       `json:"proof,omitempty" enum:"claimed,sized,hashed" doc:"how blobs at the target are checked: claimed does not check them, sized asks the target for the size of each blob, hashed also reads each blob back and computes its digest; default: sized with overwrite always, else claimed"`
	Referrers      Referrers    `json:"referrers,omitzero" doc:"what travels with an image, such as its signatures; default: the server's configuration"`
	Platforms      Platforms    `json:"platforms,omitzero" doc:"which platforms of an image are copied; default: the server's configuration"`
	IncludeForeign *bool        `json:"includeForeign,omitempty" doc:"also copy foreign layers, which a manifest lists with the URLs of their publisher; false leaves them there; default: the server's configuration"`
	Gates          []string     `json:"gates,omitempty" doc:"gates of the server's configuration that each image must pass, in addition to the one that every image must pass"`
	Bringing
	Unseen
	Logins
}

// BatchEntry is the JSON form of dray.BatchEntry.
type BatchEntry struct {
	Source    string   `json:"source" doc:"an image"`
	Targets   []string `json:"targets,omitempty" doc:"each is repository[:tag] in the registry that target names, or a full name; default: the path and tag of the source"`
	Paths     bool     `json:"paths,omitempty" doc:"read targets as paths, even if they begin like a host"`
	Overwrite string   `json:"overwrite,omitempty" enum:"refuse,update,always"`

	Referrers Referrers `json:"referrers,omitzero" doc:"what travels with this image; default: the referrers of the request"`
	Platforms Platforms `json:"platforms,omitzero" doc:"which platforms of this image are copied; default: the platforms of the request"`
	Gates     []string  `json:"gates,omitempty" doc:"gates of the server's configuration that this image must pass, in addition to those of the request"`

	Line int `json:"line,omitempty" minimum:"0" maximum:"1000000000" doc:"the line of the entry in its list; messages name it"`
}

// Transfer is the JSON form of dray.TransferRequest.
type Transfer struct {
	Ends
	Overwrite string  `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"what happens to a target tag with another digest: refuse keeps the tag and reports a conflict, update moves the tag, always pushes everything again even if it is equal; default: update"`
	Backup    string  `json:"backup,omitempty" doc:"tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}; it may contain {tag}, {digest12}, {digest} and {date}"`
	Proof     string  `json:"proof,omitempty" enum:"claimed,sized,hashed" doc:"how blobs at the target are checked: claimed does not check them, sized asks the target for the size of each blob, hashed also reads each blob back and computes its digest; default: sized with overwrite always, else claimed"`
	CopyLocks bool    `json:"copyLocks,omitempty" doc:"lock at the target every tag that is locked at the source; both must be Azure registries"`
	Heal      bool    `json:"heal,omitempty" doc:"also check the content of tags whose digest is equal, and send what is missing; not allowed in a plan"`
	Delay     float64 `json:"delaySeconds,omitempty" minimum:"0" maximum:"86400" doc:"seconds to rest between two images, which are copied one at a time"`

	Incremental bool     `json:"incremental,omitempty" doc:"list only the tags that were set since the last complete transfer, if the source lists tags by time; once a week all tags are listed"`
	Gates       []string `json:"gates,omitempty" doc:"gates of the server's configuration that each image must pass, in addition to the one that every image must pass"`
	Bringing
	Logins
}

// Ends says what a Transfer copies, and what a Verify compares.
type Ends struct {
	Sources        []string  `json:"sources" minItems:"1" doc:"HOST, HOST/PREFIX/ or HOST/REPO; HOST may be a configured name"`
	Target         string    `json:"target" minLength:"1" doc:"HOST, HOST/PREFIX/ or HOST/REPO; HOST may be a configured name"`
	Also           []string  `json:"also,omitempty" doc:"further targets"`
	Prefer         []string  `json:"prefer,omitempty" doc:"the order of sources; if several have different content for one target name, the first source wins"`
	InUse          string    `json:"inUse,omitempty" doc:"select only the images that are in use; the value is a list of image names and IDs, or the JSON that kubectl prints for pods"`
	Selection      Selection `json:"selection,omitzero" doc:"which repositories and tags take part; default: all"`
	SkipBroken     bool      `json:"skipBroken,omitempty" doc:"leave out tags that the source lists and whose manifest does not exist, and name them in the report; without it, such a tag fails"`
	Strict         bool      `json:"strict,omitempty" doc:"fail if a source lists a repository that has no tags; without it, the report names it"`
	Mapping        Mapping   `json:"mapping,omitzero" doc:"the target path of each repository; default: its own path"`
	Referrers      Referrers `json:"referrers,omitzero" doc:"what travels with an image, such as its signatures; default: the server's configuration"`
	Platforms      Platforms `json:"platforms,omitzero" doc:"which platforms of an image are copied; default: the server's configuration"`
	IncludeForeign *bool     `json:"includeForeign,omitempty" doc:"also copy foreign layers, which a manifest lists with the URLs of their publisher; false leaves them there; default: the server's configuration"`
	Tagging
}

// Selection is the JSON form of plan.Words. It selects repositories and tags.
type Selection struct {
	Repository          string   `json:"repository,omitempty" doc:"only this repository; the other rules for repositories are then ignored"`
	Letters             string   `json:"letters,omitempty" doc:"only repositories whose name begins with one of these letters, as in a-c,e"`
	Ignore              []string `json:"ignore,omitempty" doc:"repositories to leave out; each is a glob, or re: followed by a regular expression"`
	IncludeRepositories []string `json:"includeRepositories,omitempty"`
	ExcludeRepositories []string `json:"excludeRepositories,omitempty"`
	MaxRepositories     int      `json:"maxRepositories,omitempty" minimum:"0" maximum:"1000000000" doc:"the maximum number of repositories that need work; 0 means no limit"`
	IncludeTags         []string `json:"includeTags,omitempty"`
	ExcludeTags         []string `json:"excludeTags,omitempty"`
	Versions            string   `json:"versions,omitempty" doc:"only tags that are versions in this range, as in '>=1.2 <2' or '^1.25'"`
	NewerThan           string   `json:"newerThan,omitempty" doc:"only tags that were set within this time before the job was created, as in 90d, 2w or 36h; tags without a time are kept"`
	Latest              int      `json:"latest,omitempty" minimum:"0" maximum:"1000000000" doc:"only this many tags of each repository, the latest by order; 0 means all"`
	Order               string   `json:"order,omitempty" enum:"version,time,name" doc:"how latest compares tags; default: by time if every tag has one, else by version if any tag is one, else by name"`
	MinTags             int      `json:"minTags,omitempty" minimum:"0" maximum:"1000000000" doc:"a repository with fewer tags is an error; 0 means no check"`
	Untagged            bool     `json:"untagged,omitempty" doc:"also take manifests that no tag and no index refers to"`
	RequireMatch        bool     `json:"requireMatch,omitempty" doc:"it is an error if a rule that names repositories or tags matches nothing, or if nothing is selected"`
}

// Mapping is the JSON form of plan.Mapping. Its rules are applied in the order of the fields.
type Mapping struct {
	StripPrefix string   `json:"stripPrefix,omitempty"`
	Rename      []string `json:"rename,omitempty" doc:"substitutions s/RE2/TEXT/ in the path; all are applied, in this order"`
	Flatten     bool     `json:"flatten,omitempty" doc:"replace each slash, so that a/b/c becomes a-b-c"`
	Template    string   `json:"template,omitempty" doc:"template of the path; it may contain {repository}, {name} and {host}"`
	AddPrefix   string   `json:"addPrefix,omitempty"`
	MaxDepth    int      `json:"maxDepth,omitempty" minimum:"0" maximum:"1000000000" doc:"the maximum number of path components; the remaining ones are joined by -"`
}

// Plan is a request to plan one of the verbs that write, and to store the lines of the plan. With
// Uploaded, the lines come with the request instead, and the server stores them until the job has ended.
type Plan struct {
	Import   *Import   `json:"import,omitempty"`
	Copy     *Copy     `json:"copy,omitempty"`
	Tag      *Tag      `json:"tag,omitempty"`
	Batch    *Batch    `json:"batch,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`

	Uploaded bool   `json:"uploaded,omitempty" readOnly:"true" doc:"the plan is a file that the client sent"`
	Digest   string `json:"digest,omitempty" readOnly:"true" doc:"digest of that file; it tells requests with different files apart"`
	File     []byte `json:"-"`
}

// Apply is a request to carry out the plan of a job of Kind plan.
type Apply struct {
	Plan           string   `json:"plan" readOnly:"true" doc:"the ID of the job that made the plan"`
	Follow         bool     `json:"follow,omitempty" doc:"plan a step again if its source or target has moved since the plan was made; without it such a step fails"`
	Gates          []string `json:"gates,omitempty" doc:"gates of the server's configuration that each image must pass, in addition to the one that every image must pass"`
	IncludeForeign *bool    `json:"includeForeign,omitempty" doc:"also copy foreign layers, which a manifest lists with the URLs of their publisher; false leaves them there; default: the server's configuration"`
	Bringing
	Logins
}

// Verify is the JSON form of dray.VerifyRequest.
type Verify struct {
	Ends
	Depth  string `json:"depth,omitempty" enum:"digests,deep,rehash" doc:"digests compares digests; deep also checks that the target has all content; rehash also reads blobs and computes their digests; default: digests"`
	Sample int    `json:"sample,omitempty" minimum:"0" maximum:"100" doc:"with depth rehash: the percentage of blobs to read; 0 means all"`
	Heal   bool   `json:"heal,omitempty" doc:"send the content that is missing, and check again; it requires depth deep or rehash"`
	By     string `json:"by,omitempty" maxLength:"255" doc:"for whom the principal makes the request; the receipt names both"`
	Logins
}

// Planned is the body of a request to plan. Exactly one of its fields is set.
type Planned struct {
	Import   *Import   `json:"import,omitempty"`
	Copy     *Copy     `json:"copy,omitempty"`
	Tag      *Tag      `json:"tag,omitempty"`
	Batch    *Batch    `json:"batch,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`
}

// ApplyBody is the body of a request to apply a plan. The path of the request has the plan's ID.
type ApplyBody struct {
	Follow         bool     `json:"follow,omitempty" doc:"plan a step again if its source or target has moved since the plan was made; without it such a step fails"`
	Gates          []string `json:"gates,omitempty" doc:"gates of the server's configuration that each image must pass, in addition to the one that every image must pass"`
	IncludeForeign *bool    `json:"includeForeign,omitempty" doc:"also copy foreign layers, which a manifest lists with the URLs of their publisher; false leaves them there; default: the server's configuration"`
	Bringing
	Logins
}

// ScheduleRequest is a request to create or change a schedule.
type ScheduleRequest struct {
	Name    string  `json:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9._@:/+-]*$" patternDescription:"letters, digits and the signs ._-@:/+ that begin with a letter or a digit" maxLength:"128" doc:"the name, unique among the schedules of its principal: letters, digits and the signs ._-@:/+, the first a letter or a digit"`
	Cron    string  `json:"cron" minLength:"1" doc:"MINUTE HOUR DAY MONTH WEEKDAY as in crontab, or @hourly, @daily, @every 6h; H is replaced by a fixed value derived from the schedule, so that schedules start at different times" example:"H 3 * * *"`
	Zone    string  `json:"zone,omitempty" doc:"an IANA time zone; default: UTC" example:"Europe/Berlin"`
	Paused  bool    `json:"paused,omitempty"`
	Request Request `json:"request"`
}

// MaxPlan is the maximum size of a plan that a client may send, in bytes.
const MaxPlan = 32 << 20

// Given returns the kinds whose fields are set. A valid request has one, which equals its Kind.
func (r Request) Given() []string {
	var kinds []string
	for _, f := range []struct {
		kind string
		set  bool
	}{
		{KindImport, r.Import != nil},
		{KindCopy, r.Copy != nil},
		{KindTag, r.Tag != nil},
		{KindBatch, r.Batch != nil},
		{KindTransfer, r.Transfer != nil},
		{KindPlan, r.Plan != nil},
		{KindApply, r.Apply != nil},
		{KindVerify, r.Verify != nil},
	} {
		if f.set {
			kinds = append(kinds, f.kind)
		}
	}
	return kinds
}

// Of returns the request that p plans. Its Kind is "" if no field is set.
func (p Plan) Of() Request {
	r := Request{Import: p.Import, Copy: p.Copy, Tag: p.Tag, Batch: p.Batch, Transfer: p.Transfer}
	for _, kind := range r.Given() {
		r.Kind = kind
	}
	return r
}

// RequestOf reads the stored request of a job or a schedule. It is as the client made it, without its
// logins. The error is Internal.
func RequestOf(raw json.RawMessage) (Request, error) {
	var r Request
	if err := json.Unmarshal(raw, &r); err != nil {
		return Request{}, &fault.Fault{Kind: fault.Internal, Op: "read request",
			Err: errors.New("the stored request is not valid JSON")}
	}
	return r, nil
}
