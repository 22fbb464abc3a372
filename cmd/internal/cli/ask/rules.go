package ask

import (
	"errors"
	"fmt"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// Schedules returns the schedules of a rule: one for its sources, and one for its images. obs gets the notes about its
// names.
func Schedules(d *dray.Dray, r config.Mirror, path string, obs event.Observer) ([]wire.ScheduleRequest, error) {
	bad := func(err error, hint string) ([]wire.ScheduleRequest, error) {
		return nil, &fault.Fault{
			Kind: fault.Invalid,
			Op:   "schedule",
			Name: fmt.Sprintf("%s:%d: %s", path, r.Line, r.Name),
			Err:  err,
			Hint: hint,
		}
	}
	s := wire.ScheduleRequest{Name: r.Name, Cron: r.Cron, Zone: r.TimeZone, Paused: r.Paused}
	if r.Every != "" {
		s.Cron = "@every " + r.Every
	}
	if s.Cron == "" {
		return bad(errors.New("the rule has no schedule"),
			"give it schedule: or every:, or run it here: "+shell.Dray("mirror", "-f", path, "--rule", r.Name))
	}
	// Reading the rule as dray mirror does reports errors here, and not at the server.
	work, err := mirror.Check(d, r, time.Now(), obs)
	if err != nil {
		return bad(err, fault.HintOf(err))
	}
	var all []wire.ScheduleRequest
	if work.Transfer != nil {
		s := s
		s.Request = wire.Request{Kind: wire.KindTransfer, Transfer: transferOf(r, *work.Transfer)}
		s.Request.Transfer.Gates, s.Request.Transfer.IncludeForeign = gatesOf(r), r.IncludeForeign
		s.Request.Transfer.Via = r.Via
		all = append(all, s)
	}
	if work.Batch != nil {
		s.Request = Batch(*work.Batch)
		s.Request.Batch.Gates, s.Request.Batch.IncludeForeign = gatesOf(r), r.IncludeForeign
		s.Request.Batch.Via = r.Via
		if len(all) > 0 {
			s.Name += ".images"
		}
		all = append(all, s)
	}
	return all, nil
}

// gatesOf returns the gate of a rule as a request names it.
func gatesOf(r config.Mirror) []string {
	if r.Gate == "" {
		return nil
	}
	return []string{r.Gate}
}

// transferOf returns the transfer of rule r for a server; req was made from r.
func transferOf(r config.Mirror, req dray.TransferRequest) *wire.Transfer {
	return &wire.Transfer{
		Ends: wire.Ends{
			Sources: r.Sources, Target: req.Target, Also: req.Also, Prefer: r.Prefer, Strict: r.Strict, SkipBroken: r.SkipBroken,
			Referrers: referrersJSON(req.Referrers), Platforms: platformsJSON(req.Platforms),
			Selection: wire.Selection{
				Letters:             r.Letters,
				Ignore:              r.Ignore,
				IncludeRepositories: r.Include,
				ExcludeRepositories: r.Exclude,
				MaxRepositories:     r.MaxRepositories,
				IncludeTags:         r.IncludeTags,
				ExcludeTags:         r.ExcludeTags,
				Versions:            r.Semver,
				NewerThan:           r.NewerThan,
				Latest:              r.Latest,
				Order:               r.LatestBy,
				MinTags:             r.MinTags,
				Untagged:            r.Untagged,
				RequireMatch:        r.RequireMatch,
			},
			Mapping: wire.Mapping{
				StripPrefix: r.Strip,
				Rename:      r.Rewrite,
				Flatten:     r.Flatten,
				Template:    r.Template,
				AddPrefix:   r.Prefix,
				MaxDepth:    r.MaxDepth,
			},
			Tagging: taggingJSON(req.Map, r.Rename),
		},
		Overwrite: string(req.Overwrite), Backup: r.Backup, Proof: string(req.Proof), CopyLocks: r.CopyLocks, Delay: r.Delay,
	}
}
