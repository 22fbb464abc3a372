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

// Request is a request for one verb. Exactly one field beside Kind is set: the one that Kind names.
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

// Login is a login that the server uses for a registry instead of the one that it has configured or
// stored.
type Login struct {
	Scheme   string `json:"scheme,omitempty" enum:"basic,refresh,bearer,exchange" doc:"How the login is presented to the registry. Default: basic."`
	User     string `json:"user,omitempty" doc:"The user name. Only with scheme basic."`
	Password string `json:"password" writeOnly:"true" doc:"The password. With any other scheme, the token."`
}

// Logins are logins for one job only. The server stores them sealed, and deletes them when the job
// ends.
type Logins struct {
	SourceLogin *Login `json:"sourceLogin,omitempty" doc:"Login for the source registries. It is stored sealed and deleted when the job ends."`
	TargetLogin *Login `json:"targetLogin,omitempty" doc:"Login for the target registries. It is stored sealed and deleted when the job ends."`
}

// Tagging says how tags are renamed on the way from source to target.
type Tagging struct {
	Map    []string `json:"map,omitempty" doc:"FROM=TO copies the source tag FROM as the tag TO." example:"[\"v1=stable\"]"`
	Rename []string `json:"rename,omitempty" doc:"Substitutions s/RE2/TEXT/ for the tags that map does not name. All are applied, in this order." example:"[\"s/^v(.*)$/$1/\"]"`
}

// Import is the JSON form of dray.ImportRequest.
type Import struct {
	Source         string   `json:"source" minLength:"1" doc:"An image. With sourceRegistry: its path in that registry." example:"docker.io/library/nginx:1.27"`
	SourceRegistry string   `json:"sourceRegistry,omitempty" doc:"A configured name, a host, the name of an Azure container registry, or an ARM resource ID."`
	Target         string   `json:"target,omitempty" doc:"The registry to import into: a configured name, a host, or the name of an Azure container registry. Default: the server's default registry."`
	Images         []string `json:"images,omitempty" doc:"Target names, each repository[:tag]. Default: the repository and tag of the source."`
	Repositories   []string `json:"repositories,omitempty" doc:"Repositories that receive the image by digest, without a tag."`
	Tags           []string `json:"tags,omitempty" doc:"Source tags to import together. The source is then a repository."`
	Tagging
	Overwrite string `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"What happens to a target tag with another digest. refuse: the tag stays, and this is a conflict. update: the tag is moved. always: everything is pushed again, even if it is equal. Default: refuse."`
	Hold      string `json:"hold,omitempty" enum:"each,all" doc:"For several tags. each: every step is independent. all: no tag is set unless all can be set. Default: each."`
	Backup    string `json:"backup,omitempty" doc:"Tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}. It may contain {tag}, {digest12}, {digest} and {date}."`
	Logins
}

// Copy is the JSON form of dray.CopyRequest.
type Copy struct {
	Source  string   `json:"source" minLength:"1" doc:"HOST/REPO[:TAG|@DIGEST]. With all set to all: a repository."`
	Targets []string `json:"targets" minItems:"1" doc:"Full names. A name without a tag gets the tag of the source."`
	All     string   `json:"all,omitempty" enum:"all,sharing" doc:"all: copy every tag of the repository. sharing: copy every tag that has the digest of source. Default: only the tag of source."`
	Tagging
	Overwrite string `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"What happens to a target tag with another digest. refuse: the tag stays, and this is a conflict. update: the tag is moved. always: everything is pushed again, even if it is equal. Default: update."`
	Hold      string `json:"hold,omitempty" enum:"each,all" doc:"For several tags. each: every step is independent. all: no tag is set unless all can be set. Default: each."`
	Backup    string `json:"backup,omitempty" doc:"Tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}. It may contain {tag}, {digest12}, {digest} and {date}."`
	Logins
}

// Tag is the JSON form of dray.TagRequest.
type Tag struct {
	Image string   `json:"image" minLength:"1" doc:"HOST/REPO:TAG or HOST/REPO@DIGEST. With map or rename: a repository."`
	Tags  []string `json:"tags,omitempty" doc:"The tags to add."`
	Tagging
	Hold  string `json:"hold,omitempty" enum:"each,all" doc:"Only with map or rename. each: every step is independent. all: no tag is set unless all can be set. Default: each."`
	Login *Login `json:"login,omitempty" doc:"Login for the registry. It is stored sealed and deleted when the job ends."`
}

// Batch is the JSON form of dray.BatchRequest.
type Batch struct {
	Entries   []BatchEntry `json:"entries" minItems:"1" doc:"The images to copy. Each entry is independent of the others."`
	Target    string       `json:"target,omitempty" doc:"The registry of every target that does not name a registry."`
	Overwrite string       `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"The overwrite of every entry that sets none. Default: refuse."`
	Hold      string       `json:"hold,omitempty" enum:"each,all" doc:"each: every step is independent. all: no tag is set unless all can be set. Default: each."`
	Backup    string       `json:"backup,omitempty" doc:"Tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}. It may contain {tag}, {digest12}, {digest} and {date}."`
	Logins
}

// BatchEntry is the JSON form of dray.BatchEntry.
type BatchEntry struct {
	Source    string   `json:"source" doc:"An image."`
	Targets   []string `json:"targets,omitempty" doc:"Each is repository[:tag] in the registry that target names, or a full name. Default: the path and tag of the source."`
	Paths     bool     `json:"paths,omitempty" doc:"Read targets as paths, even if they begin like a host."`
	Overwrite string   `json:"overwrite,omitempty" enum:"refuse,update,always"`
	Line      int      `json:"line,omitempty" minimum:"0" doc:"The line of the entry in its list. Messages name it."`
}

// Transfer is the JSON form of dray.TransferRequest.
type Transfer struct {
	Ends
	Overwrite string  `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"What happens to a target tag with another digest. refuse: the tag stays, and this is a conflict. update: the tag is moved. always: everything is pushed again, even if it is equal. Default: update."`
	Backup    string  `json:"backup,omitempty" doc:"Tag that keeps the previous image of a tag that is overwritten, as in {tag}-before-{date}. It may contain {tag}, {digest12}, {digest} and {date}."`
	Proof     string  `json:"proof,omitempty" enum:"claimed,sized,hashed" doc:"How blobs at the target are checked. claimed: not at all. sized: the target must report each blob with its size. hashed: each blob is also read back and its digest computed. Default: sized with overwrite always, else claimed."`
	CopyLocks bool    `json:"copyLocks,omitempty" doc:"Lock at the target every tag that is locked at the source. Both must be Azure registries."`
	Heal      bool    `json:"heal,omitempty" doc:"Also check the content of tags whose digest is equal, and send what is missing. Not allowed in a plan."`
	Delay     float64 `json:"delaySeconds,omitempty" minimum:"0" maximum:"86400" doc:"Seconds to wait after each image."`

	Incremental bool `json:"incremental,omitempty" doc:"List only the tags that were set since the last complete transfer, if the source lists tags by time. Once a week all tags are listed."`
	Logins
}

// Ends says what a Transfer copies, and what a Verify compares.
type Ends struct {
	Sources   []string  `json:"sources" minItems:"1" doc:"HOST, HOST/PREFIX/ or HOST/REPO. HOST may be a configured name."`
	Target    string    `json:"target" minLength:"1" doc:"HOST, HOST/PREFIX/ or HOST/REPO. HOST may be a configured name."`
	Also      []string  `json:"also,omitempty" doc:"Further targets."`
	Prefer    []string  `json:"prefer,omitempty" doc:"The order of sources. If several have different content for one target name, the first source wins."`
	InUse     string    `json:"inUse,omitempty" doc:"Select only the images that are in use. The value is a list of image names and IDs, or the JSON that kubectl prints for pods."`
	Selection Selection `json:"selection,omitzero" doc:"Which repositories and tags take part. Default: all."`
	Mapping   Mapping   `json:"mapping,omitzero" doc:"The target path of each repository. Default: its own path."`
	Tagging
}

// Selection is the JSON form of plan.Words. It selects repositories and tags.
type Selection struct {
	Repository          string   `json:"repository,omitempty" doc:"Only this repository. The other rules for repositories are then ignored."`
	Letters             string   `json:"letters,omitempty" doc:"Only repositories whose name begins with one of these letters, as in a-c,e."`
	Ignore              []string `json:"ignore,omitempty" doc:"Repositories to leave out. Each is a glob, or re: followed by a regular expression."`
	IncludeRepositories []string `json:"includeRepositories,omitempty"`
	ExcludeRepositories []string `json:"excludeRepositories,omitempty"`
	MaxRepositories     int      `json:"maxRepositories,omitempty" minimum:"0" doc:"The maximum number of repositories that need work. 0 means no limit."`
	IncludeTags         []string `json:"includeTags,omitempty"`
	ExcludeTags         []string `json:"excludeTags,omitempty"`
	Versions            string   `json:"versions,omitempty" doc:"Only tags that are versions in this range, as in '>=1.2 <2' or '^1.25'."`
	NewerThan           string   `json:"newerThan,omitempty" doc:"Only tags that were set within this time before the job was created, as in 90d, 2w or 36h. Tags without a time are kept."`
	Latest              int      `json:"latest,omitempty" minimum:"0" doc:"Only this many tags of each repository, the latest by order. 0 means all."`
	Order               string   `json:"order,omitempty" enum:"version,time,name" doc:"How latest compares tags. Default: by time if every tag has one, else by version if any tag is one, else by name."`
	MinTags             int      `json:"minTags,omitempty" minimum:"0" doc:"A repository with fewer tags is an error. 0 means no check."`
	Untagged            bool     `json:"untagged,omitempty" doc:"Also take manifests that no tag and no index refers to."`
}

// Mapping is the JSON form of plan.Mapping. Its rules are applied in the order of the fields.
type Mapping struct {
	StripPrefix string   `json:"stripPrefix,omitempty"`
	Rename      []string `json:"rename,omitempty" doc:"Substitutions s/RE2/TEXT/ in the path. All are applied, in this order."`
	Flatten     bool     `json:"flatten,omitempty" doc:"Replace each slash, so that a/b/c becomes a-b-c."`
	Template    string   `json:"template,omitempty" doc:"Template of the path. It may contain {repository}, {name} and {host}."`
	AddPrefix   string   `json:"addPrefix,omitempty"`
	MaxDepth    int      `json:"maxDepth,omitempty" minimum:"0" doc:"The maximum number of path components. The remaining ones are joined by -."`
}

// Plan is a request to plan one of the verbs that write, and to store the lines of the plan. With
// Uploaded, the lines come with the request instead, and are stored sealed until the job reads them.
type Plan struct {
	Import   *Import   `json:"import,omitempty"`
	Copy     *Copy     `json:"copy,omitempty"`
	Tag      *Tag      `json:"tag,omitempty"`
	Batch    *Batch    `json:"batch,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`

	Uploaded bool   `json:"uploaded,omitempty" readOnly:"true" doc:"The plan is a file that the client sent."`
	Digest   string `json:"digest,omitempty" readOnly:"true" doc:"Digest of that file. It tells requests with different files apart."`
	File     []byte `json:"-"`
}

// Apply is a request to carry out the plan of a job of Kind plan.
type Apply struct {
	Plan   string `json:"plan" readOnly:"true" doc:"The ID of the job that made the plan."`
	Follow bool   `json:"follow,omitempty" doc:"Plan a step again if its source or target has moved since the plan was made. Without it such a step fails."`
	Logins
}

// Verify is the JSON form of dray.VerifyRequest.
type Verify struct {
	Ends
	Depth  string `json:"depth,omitempty" enum:"digests,deep,rehash" doc:"digests: compare digests. deep: also check that the target has all content. rehash: also read blobs and compute their digests. Default: digests."`
	Sample int    `json:"sample,omitempty" minimum:"0" maximum:"100" doc:"With depth rehash: the percentage of blobs to read. 0 means all."`
	Heal   bool   `json:"heal,omitempty" doc:"Send the content that is missing, and check again. It requires depth deep or rehash."`
	By     string `json:"by,omitempty" maxLength:"255" doc:"For whom the principal makes the request. The receipt names both."`
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
	Follow bool `json:"follow,omitempty" doc:"Plan a step again if its source or target has moved since the plan was made. Without it such a step fails."`
	Logins
}

// ScheduleRequest is a request to create or change a schedule.
type ScheduleRequest struct {
	Name    string  `json:"name" minLength:"1" maxLength:"255" doc:"The name, unique among the schedules of its principal."`
	Cron    string  `json:"cron" minLength:"1" doc:"MINUTE HOUR DAY MONTH WEEKDAY as in crontab, or @hourly, @daily, @every 6h. H is replaced by a fixed value derived from the schedule, so that schedules start at different times." example:"H 3 * * *"`
	Zone    string  `json:"zone,omitempty" doc:"An IANA time zone. Default: UTC." example:"Europe/Berlin"`
	Paused  bool    `json:"paused,omitempty"`
	Request Request `json:"request"`
}

// MaxPlan is the maximum size of a plan that a client may send, in bytes. The plan is sealed as a whole,
// and stored until the job reads it.
const MaxPlan = 32 << 20

// Given returns the kinds whose fields are set. A valid request has one, which equals its Kind.
func (r Request) Given() []string {
	var kinds []string
	for _, f := range []struct {
		kind string
		set  bool
	}{
		{KindImport, r.Import != nil}, {KindCopy, r.Copy != nil}, {KindTag, r.Tag != nil}, {KindBatch, r.Batch != nil},
		{KindTransfer, r.Transfer != nil}, {KindPlan, r.Plan != nil}, {KindApply, r.Apply != nil}, {KindVerify, r.Verify != nil},
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
		return Request{}, &fault.Fault{Kind: fault.Internal, Op: "read request", Err: errors.New("the stored request is not valid JSON")}
	}
	return r, nil
}
