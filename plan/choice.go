package plan

import (
	"errors"
	"fmt"
	"slices"

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
//   - [ReferrersRequire]: with each image that moves, and one that the target refuses is a failure.
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
			"leave out --referrers=false, or the types and annotations")
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
	Tag          string            `json:"tag,omitempty"` // the digest tag that points to it, such as "sha256-….sig"; else ""
	Annotations  map[string]string `json:"annotations,omitempty"`
}

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
	if r.Tag != "" {
		return ref.Tag(r.Tag)
	}
	return nil
}
