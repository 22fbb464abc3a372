package out

import (
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/dray"
)

// StateWord returns how a step ended, as a sentence has it.
func StateWord(s dray.State) string {
	switch s {
	case dray.NotFinished:
		return "not finished"
	case dray.NotStarted:
		return "not begun"
	}
	return string(s)
}

// Left returns parts of a line, such as "1 failed" and "2 not finished", about the steps that are not done.
func Left(states map[dray.State]int) (parts []string) {
	for _, s := range []dray.State{dray.Failed, dray.NotFinished, dray.NotStarted} {
		if n := states[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, StateWord(s)))
		}
	}
	return parts
}

// StatesOf counts steps by how they ended.
func StatesOf(steps []dray.StepReport) map[dray.State]int {
	states := map[dray.State]int{}
	for _, s := range steps {
		states[s.State]++
	}
	return states
}

// RetagLine returns "NAME: OLD -> NEW (kept as TAG)".
func RetagLine(name, was, is, kept string) string {
	line := fmt.Sprintf("%s: %s -> %s", name, was, is)
	if kept != "" {
		line += " (kept as " + kept + ")"
	}
	return line
}

// TellLost prints the images that are in use and that the run does not copy, and returns their number. It
// prints them even with --quiet.
func (c *Console) TellLost(r *dray.InUseReport) (lost int) {
	if r == nil {
		return 0
	}
	if n := len(r.Lost); n > 0 {
		c.Warnf("in use and lost: %d of %s", n, Plural(r.Images, "image"))
	}
	for _, l := range r.Lost {
		c.Warnf("  %s", l)
	}
	return len(r.Lost)
}

// InUse returns a part of the summary, such as "12 of 14 images in use".
func InUse(r *dray.InUseReport) string {
	return fmt.Sprintf("%d of %s in use", r.Images-len(r.Lost), Plural(r.Images, "image"))
}

// Pulls returns, for each registry that counts pulls, how many the run has used, how many are left, and when
// all are available again: "docker.io: 6 pulls spent, 94 of 100 left, all back by 2026-11-29 14:05 UTC".
func Pulls(r dray.Report) []string {
	var parts []string
	for _, host := range slices.Sorted(maps.Keys(r.Pulls)) {
		p := r.Pulls[host]
		part := host + ": " + Plural(p.Spent, "pull") + " spent"
		if p.Left != nil {
			part += fmt.Sprintf(", %d of %d left", *p.Left, p.Limit)
		}
		if p.Refills != nil {
			part += ", all back by " + p.Refills.UTC().Format("2006-01-02 15:04 UTC")
		}
		parts = append(parts, part)
	}
	return parts
}

// Blobs returns counts of blobs, such as "12 blobs sent (45 MiB)" and "3 mounted".
func Blobs(r dray.Report) []string {
	var sent, mounted, present, brought int
	var bytes int64
	for _, s := range r.Steps {
		sent += s.Blobs.Sent
		mounted += s.Blobs.Mounted
		present += s.Blobs.Present
		brought += s.Blobs.Brought
		bytes += s.Blobs.Bytes
	}
	var parts []string
	if sent > 0 {
		parts = append(parts, Plural(sent, "blob")+" sent ("+Size(bytes)+")")
	}
	if brought > 0 {
		parts = append(parts, Plural(brought, "blob")+" imported by Azure")
	}
	if mounted > 0 {
		parts = append(parts, fmt.Sprintf("%d mounted", mounted))
	}
	if present > 0 {
		parts = append(parts, fmt.Sprintf("%d present", present))
	}
	return parts
}

// Referrers says what became of what refers to the images, such as "3 referrers copied, 1 refused by its target".
func Referrers(r dray.ReferrerReport) []string {
	var parts []string
	if r.Planned > 0 {
		parts = append(parts, Plural(r.Planned, "referrer")+" to copy")
	}
	if r.Copied > 0 {
		parts = append(parts, Plural(r.Copied, "referrer")+" copied")
	}
	if r.Refused > 0 {
		parts = append(parts, Plural(r.Refused, "referrer")+" refused by the target")
	}
	if r.Unread > 0 {
		parts = append(parts, "referrers of "+Plural(r.Unread, "image")+" not read, which the source does not list")
	}
	if r.Kept > 0 {
		parts = append(parts, Plural(r.Kept, "digest tag")+" kept as the target has it")
	}
	return parts
}

// LostReferrers returns a line for each of the first referrers that a target refused, or digest tags that it keeps.
func LostReferrers(r dray.ReferrerReport) []string {
	const most = 20
	var lines []string
	told := map[string]bool{} // many may have the same hint
	for _, l := range r.Lost[:min(len(r.Lost), most)] {
		line := "not copied, because the target refuses it: " + l.String()
		if l.Has != "" {
			line = "not copied, because the target has other content there and keeps it: " + l.String()
		}
		if l.Hint != "" && !told[l.Hint] {
			told[l.Hint] = true
			line += " (hint: " + l.Hint + ")"
		}
		lines = append(lines, line)
	}
	if more := r.Refused + r.Kept - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more referrers that the target does not take", more))
	}
	return lines
}

// Requests returns the number of requests to all registries, such as "31 requests".
func Requests(r dray.Report) string {
	n := 0
	for _, t := range r.Traffic {
		n += t.Requests
	}
	return Plural(n, "request")
}
