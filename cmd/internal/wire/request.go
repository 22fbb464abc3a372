package wire

import (
	"encoding/json"
	"errors"

	"github.com/drayage/dray/fault"
)

// Kinds of jobs; each is one verb.
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

// Kinds are all, in the order in which they are documented.
func Kinds() []string {
	return []string{KindImport, KindCopy, KindTag, KindBatch, KindTransfer, KindPlan, KindApply, KindVerify}
}

// Request is one verb: the field of its Kind is set, and no other.
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

// Login is shown to a registry instead of what the server knows for it.
type Login struct {
	Scheme   string `json:"scheme,omitempty" enum:"basic,refresh,bearer,exchange" doc:"how it is presented; basic unless told otherwise"`
	User     string `json:"user,omitempty" doc:"only with basic"`
	Password string `json:"password" writeOnly:"true" doc:"the password, or the token of the other schemes"`
}

// Logins are used once, for one job: they are sealed, and wiped when it ends.
type Logins struct {
	SourceLogin *Login `json:"sourceLogin,omitempty" doc:"shown to the source; kept sealed, and wiped when the job ends"`
	TargetLogin *Login `json:"targetLogin,omitempty" doc:"shown to the target; likewise"`
}

// Tagging says what tags become.
type Tagging struct {
	Map    []string `json:"map,omitempty" doc:"FROM=TO: the source's tag FROM becomes TO" example:"[\"v1=stable\"]"`
	Rename []string `json:"rename,omitempty" doc:"s/RE2/TEXT/ for tags that no map names, one after another" example:"[\"s/^v(.*)$/$1/\"]"`
}

// Import is dray.ImportRequest.
type Import struct {
	Source         string   `json:"source" minLength:"1" doc:"an image; with sourceRegistry a path in it" example:"docker.io/library/nginx:1.27"`
	SourceRegistry string   `json:"sourceRegistry,omitempty" doc:"a registry's name, its host, or an ARM resource ID"`
	Target         string   `json:"target,omitempty" doc:"the registry to import into: a configured name, a host, or an Azure registry's name; the server's default when left out"`
	Images         []string `json:"images,omitempty" doc:"target names, repository[:tag]; the source's own when left out"`
	Repositories   []string `json:"repositories,omitempty" doc:"repositories that receive the content by digest, without a tag"`
	Tags           []string `json:"tags,omitempty" doc:"source tags to import in one go; source then names a repository"`
	Tagging
	Overwrite string `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"refuse unless told otherwise"`
	Hold      string `json:"hold,omitempty" enum:"each,all" doc:"with several tags: each on its own, or all or nothing"`
	Backup    string `json:"backup,omitempty" doc:"keep a tag that is overwritten under this name, with {tag}, {digest12}, {digest} and {date}"`
	Logins
}

// Copy is dray.CopyRequest.
type Copy struct {
	Source  string   `json:"source" minLength:"1" doc:"HOST/REPO[:TAG|@DIGEST]; without a tag and with tags: a repository"`
	Targets []string `json:"targets" minItems:"1" doc:"full names; without a tag the source's is taken"`
	All     string   `json:"all,omitempty" enum:"all,sharing" doc:"all: every tag of the repository; sharing: every tag that shares the digest of source"`
	Tagging
	Overwrite string `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"update unless told otherwise"`
	Hold      string `json:"hold,omitempty" enum:"each,all" doc:"with several tags: each on its own, or all or nothing"`
	Backup    string `json:"backup,omitempty" doc:"keep a tag that is overwritten under this name, with {tag}, {digest12}, {digest} and {date}"`
	Logins
}

// Tag is dray.TagRequest.
type Tag struct {
	Image string   `json:"image" minLength:"1" doc:"HOST/REPO:TAG or HOST/REPO@DIGEST; with map or rename a repository"`
	Tags  []string `json:"tags,omitempty" doc:"the further tags"`
	Tagging
	Hold  string `json:"hold,omitempty" enum:"each,all" doc:"with map or rename"`
	Login *Login `json:"login,omitempty" doc:"shown to the registry; kept sealed, and wiped when the job ends"`
}

// Batch is dray.BatchRequest.
type Batch struct {
	Entries   []BatchEntry `json:"entries" minItems:"1" doc:"each stands for itself"`
	Target    string       `json:"target,omitempty" doc:"the registry of targets that name none"`
	Overwrite string       `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"of entries that say nothing; refuse unless told otherwise"`
	Hold      string       `json:"hold,omitempty" enum:"each,all" doc:"each on its own, or all or nothing"`
	Backup    string       `json:"backup,omitempty" doc:"keep a tag that is overwritten under this name, with {tag}, {digest12}, {digest} and {date}"`
	Logins
}

// BatchEntry is dray.BatchEntry.
type BatchEntry struct {
	Source    string   `json:"source" doc:"an image"`
	Targets   []string `json:"targets,omitempty" doc:"repository[:tag] in target, or full names; the source's own path and tag when left out"`
	Paths     bool     `json:"paths,omitempty" doc:"targets are paths even where they begin like a host"`
	Overwrite string   `json:"overwrite,omitempty" enum:"refuse,update,always"`
	Line      int      `json:"line,omitempty" minimum:"0" doc:"in the list it came from, for messages"`
}

// Transfer is dray.TransferRequest.
type Transfer struct {
	Ends
	Overwrite string  `json:"overwrite,omitempty" enum:"refuse,update,always" doc:"update unless told otherwise"`
	Backup    string  `json:"backup,omitempty" doc:"keep a tag that is overwritten under this name, with {tag}, {digest12}, {digest} and {date}"`
	Proof     string  `json:"proof,omitempty" enum:"claimed,sized,hashed" doc:"how much of the target is believed; sized with overwrite always, else claimed"`
	CopyLocks bool    `json:"copyLocks,omitempty" doc:"lock at the target what is locked at the source; both Azure registries"`
	Heal      bool    `json:"heal,omitempty" doc:"look below tags that are right, and send what is lacking there; not for a plan"`
	Delay     float64 `json:"delaySeconds,omitempty" minimum:"0" maximum:"86400" doc:"rest after each image"`

	Incremental bool `json:"incremental,omitempty" doc:"list only tags set since all was brought last, where the source lists by time; all of it once a week"`
	Logins
}

// Ends are what a Transfer and a Verify are about.
type Ends struct {
	Sources   []string  `json:"sources" minItems:"1" doc:"HOST, HOST/PREFIX/ or HOST/REPO; HOST may be a configured name"`
	Target    string    `json:"target" minLength:"1" doc:"written like a source"`
	Also      []string  `json:"also,omitempty" doc:"further targets"`
	Prefer    []string  `json:"prefer,omitempty" doc:"sources, where several bring one name: the first wins"`
	InUse     string    `json:"inUse,omitempty" doc:"only what runs: image names and IDs, or the JSON that kubectl prints of pods"`
	Selection Selection `json:"selection,omitzero" doc:"which repositories and tags take part; all when left out"`
	Mapping   Mapping   `json:"mapping,omitzero" doc:"where a repository goes; to its own path when left out"`
	Tagging
}

// Selection is plan.Selection.
type Selection struct {
	Repository          string   `json:"repository,omitempty" doc:"only this one; other rules about repositories do not count then"`
	Letters             string   `json:"letters,omitempty" doc:"by first letter, as in a-c,e"`
	Ignore              []string `json:"ignore,omitempty" doc:"globs, or re: and an expression"`
	IncludeRepositories []string `json:"includeRepositories,omitempty"`
	ExcludeRepositories []string `json:"excludeRepositories,omitempty"`
	MaxRepositories     int      `json:"maxRepositories,omitempty" minimum:"0" doc:"that need work; 0 is all"`
	IncludeTags         []string `json:"includeTags,omitempty"`
	ExcludeTags         []string `json:"excludeTags,omitempty"`
	Versions            string   `json:"versions,omitempty" doc:"a range, as in '>=1.2 <2' or '^1.25'"`
	NewerThan           string   `json:"newerThan,omitempty" doc:"an age before the job was made, as in 90d, 2w or 36h"`
	Latest              int      `json:"latest,omitempty" minimum:"0" doc:"that many of each repository; 0 is all"`
	Order               string   `json:"order,omitempty" enum:"version,time,name" doc:"what latest means"`
	MinTags             int      `json:"minTags,omitempty" minimum:"0" doc:"fewer in a repository is an error"`
	Untagged            bool     `json:"untagged,omitempty" doc:"take manifests too that no tag and no index names"`
}

// Mapping is plan.Mapping.
type Mapping struct {
	StripPrefix string   `json:"stripPrefix,omitempty"`
	Rename      []string `json:"rename,omitempty" doc:"s/RE2/TEXT/, one after another"`
	Flatten     bool     `json:"flatten,omitempty" doc:"a/b/c becomes a-b-c"`
	Template    string   `json:"template,omitempty" doc:"with {repository}, {name} and {host}"`
	AddPrefix   string   `json:"addPrefix,omitempty"`
	MaxDepth    int      `json:"maxDepth,omitempty" minimum:"0" doc:"components at most; the rest is joined by -"`
}

// Plan plans one of the verbs that write, and keeps the plan's lines; or, with Uploaded, it keeps
// those that came with the request, sealed until they are read.
type Plan struct {
	Import   *Import   `json:"import,omitempty"`
	Copy     *Copy     `json:"copy,omitempty"`
	Tag      *Tag      `json:"tag,omitempty"`
	Batch    *Batch    `json:"batch,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`

	Uploaded bool   `json:"uploaded,omitempty" readOnly:"true" doc:"it is the file that was sent"`
	Digest   string `json:"digest,omitempty" readOnly:"true" doc:"of that file: another one is another request"`
	File     []byte `json:"-"`
}

// Apply carries out the plan that a job of Kind plan made.
type Apply struct {
	Plan   string `json:"plan" readOnly:"true" doc:"the id of a plan"`
	Follow bool   `json:"follow,omitempty" doc:"plan steps anew whose source or target moved since"`
	Logins
}

// Verify is dray.VerifyRequest.
type Verify struct {
	Ends
	Depth  string `json:"depth,omitempty" enum:"digests,deep,rehash" doc:"digests unless told otherwise"`
	Sample int    `json:"sample,omitempty" minimum:"0" maximum:"100" doc:"with rehash: per cent of the blobs that are read; 0 is all"`
	Heal   bool   `json:"heal,omitempty" doc:"send what is found lacking, and look again; it needs depth deep or rehash"`
	By     string `json:"by,omitempty" maxLength:"255" doc:"for whom the principal asks, in the receipt"`
	Logins
}

// Planned names the one verb that is planned.
type Planned struct {
	Import   *Import   `json:"import,omitempty"`
	Copy     *Copy     `json:"copy,omitempty"`
	Tag      *Tag      `json:"tag,omitempty"`
	Batch    *Batch    `json:"batch,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`
}

// ApplyBody is an Apply beside the plan's id.
type ApplyBody struct {
	Follow bool `json:"follow,omitempty" doc:"plan steps anew whose source or target moved since"`
	Logins
}

// ScheduleRequest is a request that is made again and again.
type ScheduleRequest struct {
	Name    string  `json:"name" minLength:"1" maxLength:"255" doc:"one of its principal's"`
	Cron    string  `json:"cron" minLength:"1" doc:"minute hour day month weekday, or @hourly, @daily, @every 6h; H takes a minute of its own" example:"H 3 * * *"`
	Zone    string  `json:"zone,omitempty" doc:"an IANA time zone; UTC when left out" example:"Europe/Berlin"`
	Paused  bool    `json:"paused,omitempty"`
	Request Request `json:"request"`
}

// MaxPlan is the longest plan that may be sent, in bytes: it is sealed whole until it is read.
const MaxPlan = 32 << 20

// Given are the kinds whose fields are set: of a request that is right its own.
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

// Of is the verb that is planned.
func (p Plan) Of() Request {
	r := Request{Import: p.Import, Copy: p.Copy, Tag: p.Tag, Batch: p.Batch, Transfer: p.Transfer}
	for _, kind := range r.Given() {
		r.Kind = kind
	}
	return r
}

// RequestOf is the request of a job or of a schedule, as it was made, without its logins.
func RequestOf(raw json.RawMessage) (Request, error) {
	var r Request
	if err := json.Unmarshal(raw, &r); err != nil {
		return Request{}, &fault.Fault{Kind: fault.Internal, Op: "read request", Err: errors.New("it does not read as it was written")}
	}
	return r, nil
}
