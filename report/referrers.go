package report

import (
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Referrers says what became of the signatures and other documents that refer to images.
type Referrers struct {
	Planned int `json:"planned,omitempty"` // in a plan: those that would be copied
	Copied  int `json:"copied,omitempty"`
	Present int `json:"present,omitempty"` // the target had them
	Refused int `json:"refused,omitempty"` // the target refused them, although it took their image
	// Unread is the number of images of which the source did not say what refers to them, so that signatures may have
	// been left behind.
	Unread int `json:"unread,omitempty"`
	// Lost are the refused ones, at most MaxLost.
	Lost []LostReferrer `json:"lost,omitempty"`
}

// LostReferrer is a referrer that a target refused.
type LostReferrer struct {
	plan.Referrer
	To  ref.Repo `json:"to"`
	Why string   `json:"why"`
}

// String returns "REPOSITORY@DIGEST (TYPE): WHY", with the digest tag in place of the digest if there is one.
func (l LostReferrer) String() string { return l.Name() + ": " + l.Why }

// Name returns the String without the reason.
func (l LostReferrer) Name() string {
	name := l.To.At(string(l.Digest)).String()
	if l.Tag != "" {
		name = l.To.Tagged(l.Tag).String()
	}
	if l.ArtifactType != "" {
		name += " (" + l.ArtifactType + ")"
	}
	return name
}

// Add adds what became of others.
func (r *Referrers) Add(o Referrers) {
	r.Planned += o.Planned
	r.Copied += o.Copied
	r.Present += o.Present
	r.Refused += o.Refused
	r.Unread += o.Unread
	r.Lost = append(r.Lost, o.Lost[:min(len(o.Lost), MaxLost-len(r.Lost))]...)
}

// MaxLost is how many lost referrers a report lists. It counts all of them.
const MaxLost = 10_000
