package server

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
)

// configPrincipal is the principal of schedules that the configuration names.
const configPrincipal = "configuration"

// putSchedules makes the schedules of the configuration those of c.Schedules: one of the same name
// is changed and keeps its history, one that is gone is forgotten, and one that is as it was keeps
// its next time, however often servers start. Those of other principals are left alone.
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

// unchanged reports whether was is what s asks for. Whether it is paused was perhaps said by hand.
func unchanged(was job.Schedule, s wire.ScheduleRequest) bool {
	r, err := wire.RequestOf(was.Request)
	if err != nil || was.Cron != s.Cron || was.Zone != s.Zone {
		return false
	}
	a, errA := json.Marshal(r)
	b, errB := json.Marshal(s.Request)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
