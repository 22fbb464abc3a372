package bundling

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// sayWritten prints what a bundle has, and its files.
func sayWritten(a *app.App, b *dray.Bundle) {
	if b == nil {
		return
	}
	sayContents(a, "the bundle has", b)
	sayFiles(a, "wrote", b)
}

// sayStaged prints what stays of a bundle that was not written, because of err.
func sayStaged(a *app.App, stage string, err error) {
	if _, lost := os.Stat(stage); lost != nil {
		return
	}
	goes := "and the same command continues there"
	if fault.Is(err, fault.Refused) { // by a gate, or by the source; the same command is refused again
		goes = "and the command continues there when nothing is refused any more"
	}
	a.Warnf("no bundle is written; what is fetched stays in %s, %s", stage, goes)
}

// sayPlanned prints what a bundle would have, and its files.
func sayPlanned(a *app.App, b *dray.Bundle) {
	if b == nil {
		return
	}
	sayContents(a, "the bundle would have", b)
	sayFiles(a, "would write", b)
}

func sayContents(a *app.App, has string, b *dray.Bundle) {
	line := fmt.Sprintf("%s %s, %s and %s (%s)", has, out.Plural(b.Names, "name"),
		out.Plural(b.Documents, "manifest"), out.Plural(b.Blobs, "blob"), out.Size(b.Bytes))
	if b.Absent > 0 {
		line += fmt.Sprintf(", without %s that the receiver has (%s)", out.Plural(b.Absent, "blob"), out.Size(b.AbsentBytes))
	}
	a.Warnf("%s", line)
}

func sayFiles(a *app.App, wrote string, b *dray.Bundle) {
	for _, v := range b.Volumes {
		size := ""
		if v.Bytes > 0 {
			size = " (" + out.Size(v.Bytes) + ")"
		}
		a.Warnf("%s %s%s", wrote, v.File, size)
	}
}

// sayLoaded prints where the receipt is, and which volumes are still needed.
func sayLoaded(a *app.App, b *dray.Bundle) {
	if b.Receipt != "" && !a.Quiet {
		a.Warnf("wrote %s; for the next bundle, send it back to the sender, for --since", b.Receipt)
	}
	if len(b.Waiting) > 0 {
		a.Warnf("these wait for volume %s of the bundle: %s; load it, in any order",
			numbers(b.Waiting), firstOf(b.WaitingNames))
	}
}

// firstOf returns "a:1, b:1 and c:1", or "a:1, b:1, c:1, d:1, e:1 and 7 more".
func firstOf(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("%d more", more))
	}
	return listed(names)
}

// numbers returns "2", or "2, 3 and 7".
func numbers(all []int) string {
	var words []string
	for _, n := range all {
		words = append(words, strconv.Itoa(n))
	}
	return listed(words)
}

func listed(words []string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " and " + words[n]
	}
	return strings.Join(words, "")
}
