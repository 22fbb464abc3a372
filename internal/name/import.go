package name

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Request holds the names in an import, with the terms of `az acr import`.
type Request struct {
	Source         string
	SourceRegistry string // "" if Source is a full name
	Target         string // a registry; "" means Reader.Default
	Images         []string
	Repositories   []string
	Tags           []string
	Map            plan.TagMap
}

// Named is a parsed Request.
type Named struct {
	Source  ref.Name
	Tags    []string   // tags of the source repository, if more than one is requested
	Targets []ref.Name // in order of the request; repositories without a tag if Tags is set
	reading reading
}

// reading selects how the names of targets are parsed.
type reading int

const (
	// AsAz follows az: if a registry is named, a target is a path in that registry. If neither
	// the target nor the source has a tag, the target gets "latest".
	AsAz reading = iota

	// asPath is for lists: a target is a path in the registry. If the source is named by
	// digest, the target gets no tag.
	asPath

	// asName is like asPath, but a target that begins with a registry is a full name.
	asName
)

// into is the registry that an import goes to.
type into struct {
	host  string // "" if there is neither a named registry nor a default
	named string // as the request names it; "" means that host is the default
}

// Import parses the names in an import. It finds errors in the names before any request is sent.
func (r *Reader) Import(req Request, how reading) (Named, error) {
	n := Named{reading: how}
	if err := req.Map.Check(); err != nil {
		return n, err
	}
	if err := r.importSource(req, &n); err != nil {
		return n, err
	}
	in := into{named: req.Target}
	if name := cmp.Or(req.Target, r.Default); name != "" {
		var err error
		if in.host, err = r.RegistryHost(name, fault.Target); err != nil {
			return n, err
		}
	}
	for _, image := range req.Images {
		to, err := r.importTarget(in, image, how)
		if err != nil {
			return n, err
		}
		if to.Tag != "" && len(n.Tags) > 0 {
			return n, fault.Misuse("parse name", image, "several tags are copied to a repository, but this names one image",
				"leave the tag off; use "+r.Words.rename()+" to rename tags")
		}
		tagged, err := r.tagged(n, to, image, req.Map)
		if err != nil {
			return n, err
		}
		n.Targets = append(n.Targets, tagged...)
	}
	for _, repository := range req.Repositories {
		to, err := r.importTarget(in, repository, how)
		if err != nil {
			return n, err
		}
		if to.Tag != "" {
			return n, fault.Misuse("parse name", repository, "a repository for a manifest-only copy has no tag",
				"use "+r.Words.image()+" for a name with a tag")
		}
		if len(n.Tags) > 0 {
			return n, fault.Misuse("parse name", repository,
				"a copy by digest alone takes one image, and several tags are asked for",
				"use "+r.Words.image()+" to name the repository, and the tags keep their names")
		}
		n.Targets = append(n.Targets, to)
	}
	if len(n.Targets) > 0 {
		return n, nil
	}
	return n, r.sameName(in.host, req.Map, &n)
}

// Copy parses the names in a copy.
func (r *Reader) Copy(from string, to []string) (source ref.Name, targets []ref.Name, err error) {
	if source, err = r.Parse(from, fault.Source); err != nil {
		return source, nil, err
	}
	if len(to) == 0 {
		return source, nil, fault.Misuse("copy", source.String(), "no target", "name at least one target")
	}
	for _, s := range to {
		n, err := r.Parse(s, fault.Target)
		if err != nil {
			return source, nil, err
		}
		if n.Digest != "" {
			return source, nil, DigestTarget(s)
		}
		targets = append(targets, n)
	}
	return source, targets, nil
}

// Tag parses the name of an image that gets more tags, and checks these.
func (r *Reader) Tag(image string, tags []string, m plan.TagMap) (ref.Name, error) {
	n, err := r.Parse(image, fault.Target)
	if err != nil {
		return n, err
	}
	return n, checkNewTags(n, tags, m)
}

func checkNewTags(image ref.Name, tags []string, m plan.TagMap) error {
	renames := len(m.Pairs) > 0 || len(m.Rename) > 0
	switch {
	case !image.HasTags():
		return fault.On(fault.Target, fault.Misuse("tag", image.String(),
			"a directory of dir: holds one image, without a name",
			"copy it to a name with a tag: "+shell.Dray("copy", image.String(), "oci-archive:FILE:TAG")))
	case renames && len(tags) > 0:
		return fault.Misuse("tag", image.String(), "new tags and a map were given together",
			"leave the new tags out, the map names them")
	case renames && (image.Tag != "" || image.Digest != ""):
		return fault.Misuse("tag", image.String(), "a map applies to a repository, but this names one image",
			"leave the tag off")
	case !renames && len(tags) == 0:
		return fault.Misuse("tag", image.String(), "no new tag", "name at least one new tag")
	}
	for _, tag := range tags {
		if strings.ContainsAny(tag, "/:@") {
			return fault.Misuse("tag", image.String(), strconv.Quote(tag)+" is not a tag",
				"copy the image to another repository: "+shell.Dray("copy", image.String(), tag))
		}
		if err := ref.Tag(tag); err != nil {
			return err
		}
	}
	return m.Check()
}

// sameName makes the source's own path and tag the target.
func (r *Reader) sameName(host string, m plan.TagMap, n *Named) error {
	if host == "" {
		return fault.Misuse("import", n.Source.String(), "no target", "name "+r.Words.targets())
	}
	path := n.Source.Path
	if n.Source.IsLayout() {
		if _, path = n.Source.Named(); path == "" {
			return fault.Misuse("import", n.Source.String(), "the source names no repository", "name the target with --image")
		}
	}
	repo, err := ref.NewRepo(host, path)
	if err != nil {
		return err
	}
	if n.Source.Tag == "" && len(n.Tags) == 0 {
		to := repo.At(n.Source.Digest).String()
		note := Tagless(n.Source) + ": it is copied to " + to + " without a tag"
		if n.reading == AsAz { // a line of a list names a tag after its source
			note += "; use " + r.Words.image() + " to give it a tag"
		}
		r.note(to, note)
	}
	n.Targets = []ref.Name{repo.Tagged(n.Source.Tag)}
	if n.Source.Tag != "" {
		n.Targets, err = Spread(n.Source, []ref.Name{repo.Tagged("")}, m)
	}
	return err
}

// tagged returns a target with its tag. If to has no tag, it gets the tag of the source, or the
// tags that m maps that tag to, or "latest".
func (r *Reader) tagged(n Named, to ref.Name, image string, m plan.TagMap) ([]ref.Name, error) {
	switch {
	case to.Tag != "" || len(n.Tags) > 0:
		return []ref.Name{to}, nil
	case n.Source.Tag != "":
		return Spread(n.Source, []ref.Name{to}, m)
	case n.reading != AsAz && to.HasTags():
		at := to.At(n.Source.Digest).String()
		r.note(at, n.Source.String()+": "+Tagless(n.Source)+": it is copied to "+at+" without a tag")
		return []ref.Name{to}, nil
	case n.reading != AsAz || !to.HasTags():
		return []ref.Name{to}, nil
	}
	to.Tag = "latest"
	r.note(to.String(), "neither "+image+" nor the source has a tag: the target becomes "+to.String())
	return []ref.Name{to}, nil
}

func (r *Reader) importSource(req Request, n *Named) error {
	if req.Source == "" {
		return fault.Misuse("import", "", "no source", "name an image with "+r.Words.source())
	}
	var err error
	if req.SourceRegistry == "" {
		n.Source, err = r.Parse(req.Source, fault.Source)
	} else {
		var host string
		if host, err = r.RegistryHost(req.SourceRegistry, fault.Source); err != nil {
			return err
		}
		if err = ref.NoTransport(req.Source); err != nil {
			return fault.On(fault.Source, err)
		}
		n.Source, err = ref.ParseIn(host, r.trimHost(host, req.Source, r.Words.source(), r.Words.registry()))
	}
	if err != nil {
		return err
	}
	bare := n.Source.Tag == "" && n.Source.Digest == ""
	switch {
	case len(req.Tags) > 0 && !bare:
		return fault.Misuse("import", n.Source.String(), "the tags are listed separately, but the source names one image",
			"leave the tag off the source")
	case len(req.Tags) > 0:
		n.Tags = req.Tags
	case bare && len(req.Map.Pairs) > 0:
		n.Tags = req.Map.Keys()
	default:
		n.Source = WithLatest(n.Source)
	}
	for _, tag := range n.Tags {
		if err := ref.Tag(tag); err != nil {
			return err
		}
	}
	return nil
}

// Entry parses one line of a list of images.
func (r *Reader) Entry(e plan.Entry, target string) (Named, error) {
	how := asName
	if e.Paths {
		how = asPath
	}
	return r.Import(Request{Source: e.Source, Target: target, Images: e.Targets}, how)
}

// Spread gives each target without a tag the tags that m maps the source's tag to. A directory of
// skopeo has no tags: there the image is stored by its digest. The error is that of plan.TagMap.Targets.
func Spread(source ref.Name, targets []ref.Name, m plan.TagMap) ([]ref.Name, error) {
	var out []ref.Name
	for _, to := range targets {
		to = Within(source, to)
		if to.Tag == "" && to.Path == "" && source.IsLayout() && to.IsLayout() && to.HasTags() {
			to.Path = source.Path // a whole reference stays whole
		}
		if to.Tag != "" || source.Tag == "" || !to.HasTags() {
			out = append(out, to)
			continue
		}
		tags, err := m.Targets(source.Tag)
		if err != nil {
			return nil, err
		}
		for _, tag := range tags {
			out = append(out, to.Repo.Tagged(tag))
		}
	}
	return out, nil
}

// Within returns the target of source. In an archive of docker a target without a repository has that
// of the source, because docker load names the image by it.
func Within(source, to ref.Name) ref.Name {
	if to.Host == ref.DockerArchive && to.Path == "" {
		to.Path = repositoryOf(source)
	}
	return to
}

// Tagless says why a source without a tag has none.
func Tagless(source ref.Name) string {
	if source.Digest == "" {
		return "the source names no tag"
	}
	return "the source is named by digest"
}

// repositoryOf returns the name of a repository for docker, with its registry, or "".
func repositoryOf(n ref.Name) string {
	if n.IsLayout() {
		return n.Path
	}
	return n.Repo.String()
}

// WithLatest adds the tag "latest" to a name at a registry that has neither a tag nor a digest.
func WithLatest(n ref.Name) ref.Name {
	if n.Tag == "" && n.Digest == "" && !n.IsLayout() {
		n.Tag = "latest"
	}
	return n
}

func (r *Reader) importTarget(in into, s string, how reading) (ref.Name, error) {
	if s == "" {
		return ref.Name{}, fault.Misuse("import", "", "an empty target name", "")
	}
	var to ref.Name
	var err error
	if in.host != "" {
		err = ref.NoTransport(s)
	}
	first, rest, slash := strings.Cut(s, "/")
	switch full := r.isFull(s); {
	case err != nil:
	case in.host != "" && (!full || how != asName):
		near := r.near(first)
		if in.named == "" && how == asName && slash && len(near) > 0 {
			hint := "write " + strings.Join(behind(near, "/"+rest), " or ") +
				", or " + r.Default + "/" + s + " for a path in " + in.host
			return to, fault.On(fault.Target, r.strangerHint(s, first, hint))
		}
		to, err = r.pathIn(in, s, how)
	case !full && slash && len(r.similar(first, "")) > 0:
		to, err = r.Parse(s, fault.Target)
	case !full || how == asPath:
		return to, fault.On(fault.Target, fault.Misuse("parse name", s, "no registry",
			"name the registry with "+r.Words.target()+", or write HOST/"+s))
	default:
		to, err = r.Parse(s, fault.Target)
	}
	if err == nil && to.Digest != "" {
		err = DigestTarget(s)
	}
	return to, fault.On(fault.Target, err)
}

// pathIn parses s, a path in the registry of an import. It makes a note if s looks like the name of an image
// in another registry.
func (r *Reader) pathIn(in into, s string, how reading) (ref.Name, error) {
	by := r.Words.target()
	if in.named == "" {
		by = "the default"
	}
	s = r.trimHost(in.host, s, r.Words.image(), by)
	first, rest, slash := strings.Cut(s, "/")
	if !slash || how == asPath {
		return ref.ParseIn(in.host, s)
	}
	at, known := r.known(first)
	_, byName := r.Hosts[cmp.Or(in.named, r.Default)]
	if rest != "" && known && at == in.host && byName {
		r.noteIgnored(first, r.Words.image(), by)
		return ref.ParseIn(in.host, rest)
	}
	to, err := ref.ParseIn(in.host, s)
	if err != nil {
		return to, err
	}
	text := s + " is read as " + to.String() + ", although "
	near := r.near(first)
	switch {
	case known:
		r.note(first, text+strconv.Quote(first)+" is a configured registry")
	case ref.LooksLikeHost(first):
		r.note(first, text+strconv.Quote(first)+" looks like a host")
	case len(near) > 0:
		r.note(first, text+resembles(first, near[0]))
	}
	return to, nil
}

// isFull reports whether s begins with a registry or names a layout.
func (r *Reader) isFull(s string) bool {
	_, rest := cutScheme(s)
	first, _, slash := strings.Cut(rest, "/")
	_, known := r.known(first)
	return ref.IsLayout(rest) || slash && (known || ref.LooksLikeHost(first))
}

// trimHost removes the host, or an alias of it that is a host, from the beginning of s, because another
// part of the request already names that registry.
func (r *Reader) trimHost(host, s, in, by string) string {
	s = ref.CutTransport(s)
	first, rest, slash := strings.Cut(s, "/")
	at, known := r.known(first)
	if !slash || rest == "" || !ref.LooksLikeHost(first) || !strings.EqualFold(first, host) && (!known || at != host) {
		return s
	}
	r.noteIgnored(first, in, by)
	return rest
}

// noteIgnored makes a note about first, the beginning of a name in the part in. It repeats the registry that
// by names.
func (r *Reader) noteIgnored(first, in, by string) {
	r.note(in+" "+first, strconv.Quote(first)+" in "+in+" is ignored: "+by+" names the registry already")
}

// DigestTarget returns the error for a target that is named by digest.
func DigestTarget(s string) error {
	return fault.Misuse("parse name", s, "a target is a repository and a tag, not a digest",
		"leave the digest off; the copy keeps the digest of the source")
}
