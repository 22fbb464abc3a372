package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed/tricks"
)

func TestASubmittersNameThatDeceivesIsRefusedWithTheGrammar(t *testing.T) {
	y := newYard(t, settings{idle: true})
	for _, name := range []string{tricks.Name, tricks.Text, "night\nly", "\x1b[2Jnightly", "nightly ", "", strings.Repeat("n", 129)} {
		in := wire.ScheduleRequest{Name: name, Cron: "@daily", Request: importing("src/app:v1", "kept/app:v1")}
		_, err := y.client("ann").PutSchedule(t.Context(), "", in)
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("schedule %q: %v", name, err)
		}
		if _, err := y.client("root").MakeToken(t.Context(), wire.NewToken{Principal: name, Role: wire.Reader}); name != "nightly" && len(name) != 129 && !fault.Is(err, fault.Invalid) {
			t.Errorf("principal %q: %v", name, err)
		}
	}
	if _, err := y.client("root").MakeToken(t.Context(), wire.NewToken{Principal: "ci", Name: tricks.Name, Role: wire.Reader}); !fault.Is(err, fault.Invalid) {
		t.Errorf("the note of a token: %v", err)
	}
	_, body := y.ask("ann", http.MethodPost, "/schedules", `{"name":"a b","cron":"@daily","request":{"kind":"import"}}`)
	if !strings.Contains(body, "begin with a letter or a digit") {
		t.Errorf("no grammar in %s", body)
	}
}

func TestAScheduleOfAnOlderDrayWithADeceivingNameIsListedAndDeleted(t *testing.T) {
	y := newYard(t, settings{idle: true})
	in := wire.ScheduleRequest{Name: "nightly", Cron: "@daily", Request: importing("src/app:v1", "kept/app:v1")}
	s, err := y.client("ann").PutSchedule(t.Context(), "", in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := y.db.ExecContext(t.Context(), `UPDATE schedules SET name = $1 WHERE id = $2`, tricks.Text, s.ID); err != nil {
		t.Fatal(err)
	}
	_, body := y.ask("root", http.MethodGet, "/schedules", "")
	tricks.Check(t, "the list", body)
	var list wire.Schedules
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Schedules) != 1 || !strings.HasPrefix(list.Schedules[0].Name, tricks.Name) {
		t.Errorf("%v\n%s", err, body)
	}
	if err := y.client("ann").DeleteSchedule(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
}
