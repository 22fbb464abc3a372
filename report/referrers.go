package report

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Referrers says what became of the signatures and other documents that refer to images.
type Referrers struct {
	Planned int `json:"planned,omitempty"` // in a plan: those that would be copied
	Copied  int `json:"copied,omitempty"`
	Present int `json:"present,omitempty"` // the target had them
	Refused int `json:"refused,omitempty"` // the target refused them, although it took their image
	Kept    int `json:"kept,omitempty"`    // digest tags that the target has with other content, and keeps
	// Unread is the number of images of which the source did not say what refers to them, so that signatures may have
	// been left behind.
	Unread int `json:"unread,omitempty"`
	// Lost are the refused and the kept ones, at most MaxLost.
	Lost []LostReferrer `json:"lost,omitempty"`
}

// LostReferrer is a referrer that a target refused, or a digest tag that it keeps.
type LostReferrer struct {
	plan.Referrer
	To   ref.Name   `json:"to"`            // the name that it would have
	Has  oci.Digest `json:"has,omitempty"` // what the target keeps under the digest tag; "" if it refused the referrer
	Why  string     `json:"why"`
	Hint string     `json:"hint,omitempty"`
}

// LostOf returns the LostReferrer for r, which would go to the repository to.
func LostOf(r plan.Referrer, to ref.Repo) LostReferrer {
	l := LostReferrer{Referrer: r, To: to.At(string(r.Digest))}
	if r.Tag != "" {
		l.To = to.Tagged(r.Tag)
	}
	return l
}

// String returns "REPOSITORY@DIGEST (TYPE): WHY", with the digest tag in place of the digest if there is one.
func (l LostReferrer) String() string { return l.Name() + ": " + l.Why }

// Name returns the String without the reason.
func (l LostReferrer) Name() string {
	name := l.To.String()
	if l.ArtifactType != "" {
		name += " (" + l.ArtifactType + ")"
	}
	return name
}

// Missing reports whether the target lacks something although it took its image.
func (r Referrers) Missing() bool { return r.Refused+r.Kept > 0 }

// Add adds what became of others.
func (r *Referrers) Add(o Referrers) {
	r.Planned += o.Planned
	r.Copied += o.Copied
	r.Present += o.Present
	r.Refused += o.Refused
	r.Unread += o.Unread
	r.Kept += o.Kept
	r.Lost = append(r.Lost, o.Lost[:min(len(o.Lost), MaxLost-len(r.Lost))]...)
}

// MaxLost is how many lost referrers a report lists. It counts all of them.
const MaxLost = 10_000
