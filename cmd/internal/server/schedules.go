package server

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
)

// configPrincipal is the principal that owns the schedules of the configuration.
const configPrincipal = "configuration"

// putSchedules makes the stored schedules of configPrincipal equal to c.Schedules. A changed schedule
// keeps its history, and a schedule that the configuration no longer names is deleted. An unchanged
// schedule keeps its next time, so a restart does not delay it. The schedules of other principals
// stay as they are.
func (p *parts) putSchedules(ctx context.Context) error {
	who := access.Principal{Name: configPrincipal, Role: access.Admin, Via: access.ViaLoopback}
	all, err := p.service.Schedules(ctx, who)
	if err != nil {
		return err
	}
	old := map[string]job.Schedule{}
	for _, s := range all {
		if s.Principal == configPrincipal {
			old[s.Name] = s
		}
	}
	for _, s := range p.config.Schedules {
		was, there := old[s.Name]
		delete(old, s.Name)
		if there && unchanged(was, s) {
			continue
		}
		if _, err := p.service.PutSchedule(ctx, who, was.ID, s); err != nil {
			return err
		}
	}
	for _, s := range old {
		if err := p.service.DeleteSchedule(ctx, who, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// unchanged reports whether the stored schedule was equals s. It ignores whether was is paused,
// because an operator may have paused it by hand.
func unchanged(was job.Schedule, s wire.ScheduleRequest) bool {
	r, err := wire.RequestOf(was.Request)
	if err != nil || was.Cron != s.Cron || was.Zone != s.Zone {
		return false
	}
	a, errA := json.Marshal(r)
	b, errB := json.Marshal(s.Request)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
