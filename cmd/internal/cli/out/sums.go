package out

import (
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/dray"
)

// RetagLine is "NAME: OLD -> NEW (kept as TAG)".
func RetagLine(name, was, is, kept string) string {
	line := fmt.Sprintf("%s: %s -> %s", name, was, is)
	if kept != "" {
		line += " (kept as " + kept + ")"
	}
	return line
}

// TellLost is the section about images that are in use and that nothing brings. It is told even
// where only errors are.
func (c *Console) TellLost(r *dray.InUseReport) (lost int) {
	if r == nil {
		return 0
	}
	if n := len(r.Lost); n > 0 {
		c.Warn("in use and lost: %d of %s", n, Plural(r.Images, "image"))
	}
	for _, l := range r.Lost {
		c.Warn("  %s", l)
	}
	return len(r.Lost)
}

// InUse is a part of the last line: "12 of 14 images in use".
func InUse(r *dray.InUseReport) string {
	return fmt.Sprintf("%d of %s in use", r.Images-len(r.Lost), Plural(r.Images, "image"))
}

// Pulls tells of each registry that counts them what the run spent, what is left and
// when the window refills: "docker.io: 6 pulls spent, 94 of 100 left, all back by 14:05".
func Pulls(r dray.Report) []string {
	var parts []string
	for _, host := range slices.Sorted(maps.Keys(r.Pulls)) {
		p := r.Pulls[host]
		part := host + ": " + Plural(p.Spent, "pull") + " spent"
		if p.Left != nil {
			part += fmt.Sprintf(", %d of %d left", *p.Left, p.Limit)
		}
		if p.Refills != nil {
			part += ", all back by " + p.Refills.Local().Format("15:04")
		}
		parts = append(parts, part)
	}
	return parts
}

// Blobs counts blobs: "12 blobs sent (45 MiB)", "3 mounted".
func Blobs(r dray.Report) []string {
	var sent, mounted, present int
	var bytes int64
	for _, s := range r.Steps {
		sent, mounted, present, bytes = sent+s.Blobs.Sent, mounted+s.Blobs.Mounted, present+s.Blobs.Present, bytes+s.Blobs.Bytes
	}
	var parts []string
	if sent > 0 {
		parts = append(parts, Plural(sent, "blob")+" sent ("+Size(bytes)+")")
	}
	if mounted > 0 {
		parts = append(parts, fmt.Sprintf("%d mounted", mounted))
	}
	if present > 0 {
		parts = append(parts, fmt.Sprintf("%d present", present))
	}
	return parts
}

// Requests counts those at all registries.
func Requests(r dray.Report) string {
	n := 0
	for _, t := range r.Traffic {
		n += t.Requests
	}
	return Plural(n, "request")
}
