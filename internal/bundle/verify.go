package bundle

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/report"
)

// Verify reads each byte of the files of a bundle. Bundle.Waiting are the volumes that are not among them.
// The error is Corrupt if anything is not as it was written; Bundle.Damages then says what.
func Verify(ctx context.Context, paths []string, obs event.Observer) (report.Bundle, error) {
	set, err := volume.Open(paths...)
	if err != nil {
		return report.Bundle{}, err
	}
	defer set.Close()
	return verified(ctx, set, paths, obs)
}

// verified verifies the volumes of set, which are in the files paths.
func verified(ctx context.Context, set *volume.Set, paths []string, obs event.Observer) (report.Bundle, error) {
	rep := *reportOn(&volume.Arranged{Contents: *set.Contents, Bundle: set.Bundle})
	var done int64
	total := set.Size()
	obs.Tell(event.Event{Kind: event.Sized, Name: paths[0], Total: total, Count: 1})
	damages, err := set.Verify(ctx, func(n int64) {
		done += n
		obs.Tell(event.Event{Kind: event.Advanced, Name: paths[0], Digest: string(set.Bundle), Done: done, Total: total})
	})
	given, all := set.Volumes()
	for n := range all {
		if !slices.Contains(given, n+1) {
			rep.Waiting = append(rep.Waiting, n+1)
		}
	}
	rep.Volumes = set.Files()
	for _, d := range damages {
		rep.Damages = append(rep.Damages, report.Damage{
			File: d.File, Volume: d.Volume, Part: d.Path, Digest: d.Digest, Names: d.Names, Text: d.String(),
		})
	}
	if err == nil && len(damages) > 0 {
		err = corrupt(rep.Damages)
	}
	return rep, err
}

// corrupt returns the error for a bundle with damages, which names the first one.
func corrupt(damages []report.Damage) error {
	first := damages[0]
	cause := strings.TrimPrefix(first.Text, first.File+": ")
	if more := len(damages) - 1; more > 0 {
		cause += fmt.Sprintf("; and %d more", more)
	}
	hint := "copy the file again"
	var again []string
	for _, d := range damages {
		if line := makeAgain(d.File, d.Volume); d.Volume > 0 && !slices.Contains(again, line) {
			again = append(again, line)
		}
	}
	if len(again) > 0 {
		hint += " or, at the sender, make that volume again: " + strings.Join(again, "; ")
	}
	return &fault.Fault{Kind: fault.Corrupt, Op: "verify bundle", Name: first.File, Err: errors.New(cause),
		Hint: hint}
}

// makeAgain returns the command line that makes a volume again.
func makeAgain(file string, n int) string {
	base := filepath.Base(file)
	if isDir(file) {
		return shell.Dray("bundle", "create", "--only", itoa(n), "-o", base+"/")
	}
	ext := filepath.Ext(base)
	if rest, isNumbered := strings.CutSuffix(strings.TrimSuffix(base, ext), "."+itoa(n)); isNumbered {
		base = rest + ext
	}
	return shell.Dray("bundle", "create", "--only", itoa(n), "-o", base)
}
