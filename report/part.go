package report

import (
	"encoding/json"

	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Part is a part of a transfer or of a verification: target repositories with all of their sources. Dray.SplitTransfer
// and Dray.SplitVerify make Parts. Its JSON form names repositories and has no logins.
type Part struct {
	// Of identifies the transfer. Parts of one transfer that one Dray carries out share what they learn about the
	// targets, so that a blob is sent once and then mounted.
	Of string

	// Whole means that the request cannot be divided: the part is all of it, and Landings is empty.
	Whole bool

	// Landings are planned and applied together if they have the same sources. No other part reads these sources.
	Landings []plan.Landing
}

// partJSON is the form of a Part.
type partJSON struct {
	Of       string        `json:"of,omitempty"`
	Whole    bool          `json:"whole,omitempty"`
	Landings []landingJSON `json:"landings,omitempty"`
}

type landingJSON struct {
	To   ref.Name   `json:"to"`
	From []ref.Name `json:"from"`
}

// MarshalJSON returns the part with repositories as "HOST/PATH".
func (p Part) MarshalJSON() ([]byte, error) {
	out := partJSON{Of: p.Of, Whole: p.Whole}
	for _, l := range p.Landings {
		one := landingJSON{To: l.To.Tagged("")}
		for _, from := range l.From {
			one.From = append(one.From, from.Tagged(""))
		}
		out.Landings = append(out.Landings, one)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the form that [Part.MarshalJSON] returns.
func (p *Part) UnmarshalJSON(raw []byte) error {
	var in partJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	*p = Part{Of: in.Of, Whole: in.Whole}
	for _, l := range in.Landings {
		one := plan.Landing{To: l.To.Repo}
		for _, from := range l.From {
			one.From = append(one.From, from.Repo)
		}
		p.Landings = append(p.Landings, one)
	}
	return nil
}
