package report

import (
	"cmp"
	"maps"
	"slices"
)

// MaxNotes is how many notes a report has. One more says that further notes are left out.
const MaxNotes = 1000

// leftOut is the note after the last one.
const leftOut = "further notes are left out"

// Note adds a note, unless it is there already or there are too many.
func (t *Transfer) Note(text string) { t.Notes = noted(t.Notes, text) }

// Note adds a note, unless it is there already or there are too many.
func (r *Receipt) Note(text string) { r.Notes = noted(r.Notes, text) }

func noted(notes []string, text string) []string {
	switch n := len(notes); {
	case n > MaxNotes || slices.Contains(notes, text):
		return notes
	case n == MaxNotes:
		return append(notes, leftOut)
	}
	return append(notes, text)
}

// Add adds the report of another run to t: its counts, and its lists up to their limits. A note that both have appears
// once. Took becomes the sum, and Err the first error. Verb, InUse, Pending and Bundle of t stay as they are, but an
// empty Verb becomes that of o.
func (t *Transfer) Add(o Transfer) {
	t.Verb = cmp.Or(t.Verb, o.Verb)
	t.Repositories += o.Repositories
	t.Actions, t.States = plus(t.Actions, o.Actions), plus(t.States, o.States)
	t.Retagged, t.Locked = t.Retagged+o.Retagged, t.Locked+o.Locked
	t.Retags = upTo(MaxRetags, t.Retags, o.Retags)
	t.Healed, t.Unproven, t.Untagged = t.Healed+o.Healed, t.Unproven+o.Unproven, t.Untagged+o.Untagged
	t.Empty, t.Skipped = append(t.Empty, o.Empty...), append(t.Skipped, o.Skipped...)
	t.Blobs = t.Blobs.And(o.Blobs)
	t.Referrers.Add(o.Referrers)
	t.Traffic, t.Pulls = plusTraffic(t.Traffic, o.Traffic), plusPulls(t.Pulls, o.Pulls)
	for _, n := range o.Notes {
		t.Note(n)
	}
	t.Took += o.Took
	if t.Err == nil {
		t.Err = o.Err
	}
}

// Add adds the report of another run to r: its steps, counts and notes. A note that both have appears once. Took
// becomes the sum. An empty Verb becomes that of o.
func (r *Report) Add(o Report) {
	r.Verb = cmp.Or(r.Verb, o.Verb)
	r.Steps = append(r.Steps, o.Steps...)
	r.Traffic, r.Pulls = plusTraffic(r.Traffic, o.Traffic), plusPulls(r.Pulls, o.Pulls)
	for _, n := range o.Notes {
		r.Notes = noted(r.Notes, n)
	}
	r.LeftOut += o.LeftOut
	r.Took += o.Took
}

// Add adds the receipt of a verification of other repositories to r: its counts, and its lists up to their limits. A
// note that both have appears once. Took becomes the sum. What r says about the request, its Digest, InUse and Pending
// stay as they are.
func (r *Receipt) Add(o Receipt) {
	r.Repositories, r.Names, r.Extra = r.Repositories+o.Repositories, r.Names+o.Names, r.Extra+o.Extra
	r.Matches = plus(r.Matches, o.Matches)
	r.Empty, r.Skipped = append(r.Empty, o.Empty...), append(r.Skipped, o.Skipped...)
	r.Healed += o.Healed
	r.Looked.Add(o.Looked)
	r.Troubles = upTo(MaxTroubles, r.Troubles, o.Troubles)
	r.Traffic, r.Pulls = plusTraffic(r.Traffic, o.Traffic), plusPulls(r.Pulls, o.Pulls)
	for _, n := range o.Notes {
		r.Note(n)
	}
	r.Took += o.Took
}

// Add adds what else was checked.
func (l *Looked) Add(o Looked) {
	l.Documents, l.Blobs, l.Read, l.Bytes = l.Documents+o.Documents, l.Blobs+o.Blobs, l.Read+o.Read, l.Bytes+o.Bytes
}

// Add adds images in use of other repositories.
func (u *InUse) Add(o InUse) {
	u.Images, u.Elsewhere, u.Lost = u.Images+o.Images, u.Elsewhere+o.Elsewhere, append(u.Lost, o.Lost...)
}

func plus[K comparable](a, b map[K]int) map[K]int {
	if a == nil && b != nil {
		a = map[K]int{}
	}
	for k, n := range b {
		a[k] += n
	}
	return a
}

func upTo[T any](most int, a, b []T) []T {
	return append(a, b[:max(0, min(len(b), most-len(a)))]...)
}

func plusTraffic(a, b map[string]Traffic) map[string]Traffic {
	if a == nil && b != nil {
		a = map[string]Traffic{}
	}
	for host, t := range b {
		sum := a[host]
		a[host] = Traffic{
			Requests: sum.Requests + t.Requests, Retries: sum.Retries + t.Retries,
			Sent: sum.Sent + t.Sent, Received: sum.Received + t.Received,
		}
	}
	return a
}

// plusPulls adds what was spent. What is left is the least that a registry reported, since it only decreases until it
// is refilled.
func plusPulls(a, b map[string]Pulls) map[string]Pulls {
	if len(a) == 0 {
		return maps.Clone(b)
	}
	for host, p := range b {
		sum, known := a[host]
		spent := sum.Spent + p.Spent
		if !known || less(p.Left, sum.Left) {
			sum = p
		}
		sum.Spent = spent
		a[host] = sum
	}
	return a
}

func less(a, b *int) bool { return a != nil && (b == nil || *a < *b) }
