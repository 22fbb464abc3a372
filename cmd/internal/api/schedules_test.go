package api_test

import (
	"testing"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

func TestAScheduleIsChangedByNoLesserRoleThanMadeIt(t *testing.T) {
	y := newYard(t, settings{idle: true})
	higher, _, err := y.access.NewToken(t.Context(), access.Token{Principal: "ann", Role: access.Admin, By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{URL: y.server.URL, Token: credential.New(higher.Reveal())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := wire.ScheduleRequest{Name: "nightly", Cron: "@daily", Request: importing("src/app:v1", "kept/app:v1")}
	s, err := c.PutSchedule(t.Context(), "", in)
	if err != nil {
		t.Fatal(err)
	}
	in.Request = wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Import: in.Request.Import}}
	if _, err := y.client("ann").PutSchedule(t.Context(), s.ID, in); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	if got, err := c.Schedule(t.Context(), s.ID); err != nil || got.Kind != wire.KindImport {
		t.Errorf("%+v %v", got, err)
	}
}

func TestAScheduleThatAnAdminRunsIsWrittenDownAsTheirDoing(t *testing.T) {
	y := newYard(t, settings{idle: true})
	s, err := y.client("ann").PutSchedule(t.Context(), "", wire.ScheduleRequest{Name: "nightly", Cron: "@daily", Request: importing("src/app:v1", "kept/app:v1")})
	if err != nil {
		t.Fatal(err)
	}
	j, err := y.client("root").RunSchedule(t.Context(), s.ID)
	if err != nil || j.Principal != "ann" {
		t.Fatal(j.Principal, err)
	}
	all, err := y.access.Entries(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if e := all[len(all)-1]; e.Principal != "root" || e.Verb != "schedule run" || e.New != j.ID {
		t.Errorf("%+v", e)
	}
}
