package plan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Referrers chooses what travels with an image: the documents whose subject is the image or one of its
// children, what refers to those in turn, and cosign's digest tags. The zero value means all of them, with
// each image that moves.
type Referrers struct {
	Mode ReferrerMode `json:"mode,omitempty"` // "" means ReferrersMoving

	// Types are artifact types; none means all. The types of a document are its artifactType, or the media
	// type of its config, and the media types of its layers.
	Types []string `json:"types,omitempty"`

	// Annotations must all be in the document, each with this value; none means that all documents travel.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ReferrerMode says when referrers travel:
//   - [ReferrersMoving]: with each image that moves.
//   - [ReferrersNone]: never.
//   - [ReferrersSync]: also to images that are up to date.
//   - [ReferrersRequire]: as ReferrersSync, and one that does not arrive is a failure.
type ReferrerMode string

// The ReferrerModes.
const (
	ReferrersMoving  ReferrerMode = "moving"  // The default. What a target refuses is reported.
	ReferrersNone    ReferrerMode = "false"   // Images travel alone.
	ReferrersSync    ReferrerMode = "sync"    // What was signed after an image was copied arrives too.
	ReferrersRequire ReferrerMode = "require" // The image still arrives, but its step fails.
)

// UnmarshalText reads a mode. "true" and "" mean [ReferrersMoving]. The error is [fault.Invalid].
func (m *ReferrerMode) UnmarshalText(text []byte) error {
	switch mode := ReferrerMode(text); mode {
	case "", "true":
		*m = ReferrersMoving
	case ReferrersMoving, ReferrersNone, ReferrersSync, ReferrersRequire:
		*m = mode
	default:
		return invalid("read mode of referrers", shown(string(text)), errors.New("unknown mode"),
			"use true, false, sync or require")
	}
	return nil
}

// InSync reports whether referrers also travel to images that are up to date.
func (r Referrers) InSync() bool { return r.Mode == ReferrersSync || r.Mode == ReferrersRequire }

// Check checks the choice. The error is [fault.Invalid]: the mode is unknown, a type or the name of an
// annotation is empty, or something is chosen although nothing travels.
func (r Referrers) Check() error {
	mode := r.Mode
	if err := mode.UnmarshalText([]byte(r.Mode)); err != nil {
		return err
	}
	const op = "choose referrers"
	_, unnamed := r.Annotations[""]
	switch {
	case slices.Contains(r.Types, ""):
		return invalid(op, `""`, errors.New("a type is empty"), "name an artifact type, such as application/spdx+json")
	case unnamed:
		return invalid(op, `""`, errors.New("the name of an annotation is empty"), "write an annotation as NAME=VALUE")
	case r.Mode == ReferrersNone && len(r.Types)+len(r.Annotations) > 0:
		return invalid(op, string(r.Mode), errors.New("types or annotations are chosen, but no referrers travel"),
			"let referrers travel, or leave out the types and annotations")
	}
	return nil
}

// Or returns r, with what it leaves open as in d: the mode, and what is chosen if r chooses nothing. A
// choice of some referrers does not become one of none.
func (r Referrers) Or(d Referrers) Referrers {
	if r.Mode == "" && (d.Mode != ReferrersNone || !r.Selects()) {
		r.Mode = d.Mode
	}
	if r.Mode != ReferrersNone && !r.Selects() {
		r.Types, r.Annotations = d.Types, d.Annotations
	}
	return r
}

// Equal reports whether r and o choose the same.
func (r Referrers) Equal(o Referrers) bool {
	return r.Mode == o.Mode && slices.Equal(r.Types, o.Types) && maps.Equal(r.Annotations, o.Annotations)
}

// Travel reports whether referrers travel at all.
func (r Referrers) Travel() bool { return r.Mode != ReferrersNone }

// Chooses reports whether a document with these types and annotations travels.
func (r Referrers) Chooses(types []string, annotations map[string]string) bool {
	if len(r.Types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return slices.Contains(r.Types, t) }) {
		return false
	}
	for name, value := range r.Annotations {
		if got, has := annotations[name]; !has || got != value {
			return false
		}
	}
	return true
}

// Selects reports whether the choice depends on what the documents say.
func (r Referrers) Selects() bool { return len(r.Types)+len(r.Annotations) > 0 }

// Referrer is a document that refers to an image, to a child of it, or to another Referrer.
type Referrer struct {
	Subject      oci.Digest        `json:"subject"`
	Digest       oci.Digest        `json:"digest"`
	MediaType    string            `json:"mediaType,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Size         int64             `json:"size"`
	Tag          string            `json:"tag,omitempty"`   // the digest tag that points to it, such as "sha256-….sig"; else ""
	Keeps        Keeps             `json:"keeps,omitempty"` // what the target has under Tag already
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Keeps says that a target keeps what it has under a digest tag, although it is not what the source has. A digest tag
// holds a list of signatures, and the target may have some of its own:
//   - [KeepsAll]: the target has all that the source has, and more.
//   - [KeepsOther]: the target lacks some of what the source has, and has some that the source lacks.
//
// It is "" if the digest tag is free or has only what the source has, too.
type Keeps string

// The values of Keeps.
const (
	KeepsAll   Keeps = "all"   // Nothing is missing.
	KeepsOther Keeps = "other" // What the source has does not arrive, so that nothing of the target is lost.
)

func (o Keeps) known() bool { return o == "" || o == KeepsAll || o == KeepsOther }

// Descriptor returns the descriptor of the document.
func (r Referrer) Descriptor() oci.Descriptor {
	return oci.Descriptor{MediaType: r.MediaType, ArtifactType: r.ArtifactType, Digest: r.Digest, Size: r.Size,
		Annotations: r.Annotations}
}

func (r Referrer) check() error {
	for _, d := range []oci.Digest{r.Subject, r.Digest} {
		if err := ref.Digest(string(d)); err != nil {
			return err
		}
	}
	if r.Size < 0 || r.Size > oci.MaxDocument {
		return fmt.Errorf("the size %d of referrer %s is out of range", r.Size, r.Digest)
	}
	if !r.Keeps.known() {
		return fmt.Errorf("unknown value %q of keeps of referrer %s", r.Keeps, r.Digest)
	}
	if r.Tag != "" {
		return ref.Tag(r.Tag)
	}
	return nil
}

// Platforms says which platforms of an image to copy. The zero value means all of them.
//
// An image that names no platform is always copied whole: a Helm chart, a signature, an index of such. So is
// a single manifest that is for a platform of Only.
type Platforms struct {
	Only  []oci.Platform // none means all; see oci.ParsePlatforms
	Form  Form           // what becomes of an index; "" means Trimmed
	Lacks Lacks          // what to do about platforms that an image lacks; "" means Required
}

// platformsJSON is the JSON form of Platforms.
type platformsJSON struct {
	Only     []string `json:"only,omitempty"`
	Sparse   bool     `json:"sparse,omitempty"`
	Optional bool     `json:"optional,omitempty"`
}

// MarshalJSON returns p as people write it: {"only":["linux/amd64"],"sparse":true,"optional":true}.
func (p Platforms) MarshalJSON() ([]byte, error) {
	out := platformsJSON{Sparse: p.Form == Sparse, Optional: p.Lacks == Optional}
	for _, one := range p.Only {
		out.Only = append(out.Only, oci.PlatformString(&one))
	}
	if p.Form == Whole {
		out.Only = []string{oci.AllPlatforms}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the form that [Platforms.MarshalJSON] returns. The error is [fault.Invalid].
func (p *Platforms) UnmarshalJSON(raw []byte) error {
	var in platformsJSON
	if err := strict(raw, &in, "plan"); err != nil {
		return invalid("read platforms", shown(string(raw)), err, "")
	}
	read, err := ParsePlatforms(in.Only...)
	if err != nil {
		return err
	}
	if in.Sparse {
		read.Form = Sparse
	}
	if in.Optional {
		read.Lacks = Optional
	}
	*p = read
	return read.Check()
}

// Own is what is asked for one image of a batch. What it leaves open is as for the other images.
type Own struct {
	Referrers Referrers `json:"referrers,omitzero"`
	Platforms Platforms `json:"platforms,omitzero"`
	Gates     []string  `json:"gates,omitempty"` // names of gates that this image must pass, too
}

// Check checks the choices, and that each gate has a name. The error is [fault.Invalid].
func (o Own) Check() error {
	if slices.Contains(o.Gates, "") {
		return invalid("read gates", `""`, errors.New("the name of a gate is empty"), "name a gate of the configuration")
	}
	return cmp.Or(o.Referrers.Check(), o.Platforms.Check())
}

// Lacks says what to do about an image that does not have all of the platforms:
//   - [Required]: it is an error.
//   - [Optional]: copy those that it has.
type Lacks string

const (
	// Required means that an image that lacks one of the platforms is not copied, and is an error.
	Required Lacks = ""
	// Optional means that the platforms that the image has are copied. An image without any of them is left
	// out, and a note names it.
	Optional Lacks = "optional"
)

// ParsePlatforms reads platforms as [oci.ParsePlatforms] does. No word gives the zero value, and the word "all" the
// form [Whole]. The error is [fault.Invalid].
func ParsePlatforms(words ...string) (Platforms, error) {
	only, err := oci.ParsePlatforms(words...)
	p := Platforms{Only: only}
	if len(words) > 0 && p.All() {
		p.Form = Whole
	}
	return p, err
}

// Or returns p, with the platforms of standard if p names none and does not ask for all of them.
func (p Platforms) Or(standard Platforms) Platforms {
	if !p.All() || p.Form == Whole || standard.All() && (p.Form != Trimmed || p.Lacks != Required) {
		return p
	}
	if p.Form == Sparse {
		standard.Form = Sparse
	}
	if p.Lacks == Optional {
		standard.Lacks = Optional
	}
	return standard
}

// Default reports whether p says nothing.
func (p Platforms) Default() bool { return p.All() && p.Form == Trimmed && p.Lacks == Required }

// All reports whether all platforms are copied.
func (p Platforms) All() bool { return len(p.Only) == 0 }

// Check checks that the fields fit each other. The error is [fault.Invalid].
func (p Platforms) Check() error {
	bad := func(cause string) error {
		return invalid("read platforms", oci.PlatformsString(p.Only), errors.New(cause), "name the platforms to copy")
	}
	switch {
	case p.Form != Trimmed && p.Form != Sparse && p.Form != Whole:
		return bad(fmt.Sprintf("unknown form of an index %q", p.Form))
	case !p.All() && p.Form == Whole:
		return bad("all platforms are asked for, and some of them")
	case p.Lacks != Required && p.Lacks != Optional:
		return bad(fmt.Sprintf("unknown rule for platforms that are missing %q", p.Lacks))
	case p.All() && p.Form == Sparse:
		return bad("an index is sparse only if some of its platforms are copied, and none is named")
	case p.All() && p.Lacks == Optional:
		return bad("platforms can be optional only if they are named, and none is named")
	}
	return nil
}

// Form says what becomes of an index of which only some platforms are copied:
//   - [Trimmed]: the target gets an index that lists these only.
//   - [Sparse]: the target gets the index as it is.
//   - [Whole]: all platforms are copied.
type Form string

const (
	// Trimmed means that the target gets another index, which lists what is copied and nothing else. It has
	// another digest, so signatures of the whole index do not match it.
	Trimmed Form = ""
	// Sparse means that the target gets the index with its digest and its signatures, although it does not
	// have all of the images that the index lists. Some registries refuse that.
	Sparse Form = "sparse"
	// Whole means that all platforms are copied, although another default is configured.
	Whole Form = "whole"
)

// Trim says what of an image a step copies. The zero Trim means all of it.
type Trim struct {
	// Digest is that of the trimmed index, which the target gets. It is "" if the target gets the document of
	// the source as it is.
	Digest oci.Digest `json:"digest,omitempty"`
	Size   int64      `json:"size,omitempty"` // bytes of the trimmed index

	Form      Form   `json:"form,omitempty"`
	Platforms string `json:"platforms,omitempty"` // what is copied, as oci.ParsePlatforms reads it; "" means all
	Lacks     string `json:"lacks,omitempty"`     // what was asked for, and the image does not have
}

// Trims holds the Trim of images, by the digest that they have at the source. An image that is not in it
// is copied whole.
type Trims map[oci.Digest]Trim

// Becomes returns the digest that an image gets at the target.
func (t Trims) Becomes(d oci.Digest) oci.Digest { return cmp.Or(t[d].Digest, d) }

// Only returns the platforms that are copied; none means all. The error is [fault.Invalid].
func (t Trim) Only() ([]oci.Platform, error) {
	if t.Platforms == "" {
		return nil, nil
	}
	return oci.ParsePlatforms(t.Platforms)
}

// Partial reports whether the target gets only a part of the image.
func (t Trim) Partial() bool { return t.Digest != "" || t.Form == Sparse }

// String returns t for a person, such as "only linux/amd64"; "" for the zero Trim.
func (t Trim) String() string {
	text := ""
	switch {
	case t.Form == Sparse:
		text = "a sparse index, only " + t.Platforms
	case t.Digest != "":
		text = "only " + t.Platforms
	}
	if t.Lacks != "" {
		if text != "" {
			text += "; "
		}
		text += "it has no " + t.Lacks
	}
	return text
}

// Told returns the digest of an image for a person, and what it becomes.
func (t Trim) Told(origin oci.Digest) string {
	if t.Digest == "" {
		return string(origin)
	}
	return fmt.Sprintf("%s, trimmed to %s as %s", origin, t.Platforms, t.Digest)
}

// Asked returns the Platforms that t was made with. They are all if t is the zero value. The error is
// [fault.Invalid].
func (t Trim) Asked() (Platforms, error) {
	words := strings.Trim(t.Platforms+","+t.Lacks, ",")
	if words == "" {
		return Platforms{}, nil
	}
	only, err := oci.ParsePlatforms(words)
	p := Platforms{Only: only, Form: t.Form}
	if t.Lacks != "" {
		p.Lacks = Optional
	}
	return p, err
}

// check checks a Trim of a plan file.
func (t Trim) check() error {
	only, err := t.Only()
	switch {
	case err != nil:
		return err
	case t.Form != Trimmed && t.Form != Sparse:
		return fmt.Errorf("unknown form %q", t.Form)
	case t.Partial() != (len(only) > 0) || t.Digest != "" && t.Form == Sparse:
		return errors.New("a part of an image needs its platforms, and either a digest or the form sparse")
	case t.Size < 0 || t.Size > oci.MaxDocument:
		return fmt.Errorf("size %d is out of range", t.Size)
	case t.Digest != "":
		return ref.Digest(string(t.Digest))
	}
	return nil
}
