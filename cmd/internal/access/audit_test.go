package access

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestTheAuditLogIsAChainThatNoticesEveryChange(t *testing.T) {
	c := newClock()
	for name, tt := range map[string]struct{ change, want string }{
		"nothing":         {``, ""},
		"a changed field": {`UPDATE audit SET principal = 'mallory' WHERE seq = 3`, "entry 3"},
		"a changed time":  {`UPDATE audit SET at = at + 1 WHERE seq = 1`, "entry 1"},
		"one taken out":   {`DELETE FROM audit WHERE seq = 4`, "entry 4"},
		"the first":       {`DELETE FROM audit WHERE seq = 1`, "entry 1"},
		"the end":         {`DELETE FROM audit WHERE seq > 7`, "entry 8"},
		"two exchanged":   {`UPDATE audit SET seq = CASE seq WHEN 4 THEN -5 WHEN 5 THEN 4 ELSE seq END; UPDATE audit SET seq = 5 WHERE seq = -5`, "entry 4"},
		"one put in":      {`INSERT INTO audit SELECT 11, at, principal, verb, source, target, old, new, prev, hash FROM audit WHERE seq = 10; UPDATE audit_head SET seq = 11`, "entry 11"},
	} {
		a := open(t, Config{Clock: c.now})
		for range 10 {
			if err := audit(t.Context(), a, Entry{Principal: "ci", Verb: "import", Source: "docker.io/library/nginx@sha256:aa", Target: "prod.example/nginx:1", New: "sha256:aa"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Chain(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A person with access to the database would change the log in this way.
		drop := `DROP TRIGGER audit_unchanged; DROP TRIGGER audit_undeleted; `
		if a.db.Postgres() {
			drop = `DROP TRIGGER audit_stays ON audit; `
		}
		for s := range strings.SplitSeq(drop+tt.change, ";") {
			if s = strings.TrimSpace(s); s != "" {
				if _, err := a.db.ExecContext(t.Context(), s); err != nil {
					t.Fatal(name, err)
				}
			}
		}
		err := a.Verify(t.Context())
		if tt.want == "" && err != nil || tt.want != "" && (!fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), tt.want+":")) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

func TestTheAuditLogIsNotChangedByASlip(t *testing.T) {
	a := open(t, Config{})
	if err := audit(t.Context(), a, Entry{Verb: "import"}); err != nil {
		t.Fatal(err)
	}
	statements := []string{`UPDATE audit SET verb = 'x'`, `DELETE FROM audit`}
	if a.db.Postgres() {
		statements = append(statements, `UPDATE audit_waiting SET verb = 'x'`, `DELETE FROM audit_waiting`, `TRUNCATE audit_waiting`)
	}
	open(t, Config{DB: a.db, Vault: a.vault}) // protectLog runs a second time
	for _, s := range statements {
		if _, err := a.db.ExecContext(t.Context(), s); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestAnEntryIsThereExactlyWhenWhatItTellsOfIs(t *testing.T) {
	a := open(t, Config{})
	stop := errors.New("stop")
	err := a.db.Tx(t.Context(), func(tx *sql.Tx) error {
		if err := a.Audit(t.Context(), tx, Entry{Verb: "import"}); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := audit(t.Context(), a, Entry{Verb: "import"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, err := a.Entries(t.Context(), 0, 0); len(list) != 20 || err != nil || list[0].Seq != 1 || list[0].Prev != "" {
		t.Error(len(list), err)
	}
	if err := a.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if page, err := a.Entries(t.Context(), 5, 3); err != nil || len(page) != 3 || page[0].Seq != 6 {
		t.Error(page, err)
	}
}

func TestTheAuditLogSaysNoSecretAndNoResourceID(t *testing.T) {
	a := open(t, Config{})
	text := token(t, a, "ci", Reader)
	jwt, _, err := a.Issue(Principal{Name: "ci", Role: Reader, Token: "x"}, MaxSession, nil)
	if err != nil {
		t.Fatal(err)
	}
	const sub = "0f8fad5b-d9cb-469f-a165-70867728950e"
	for _, s := range []string{"https://user:canary-7f3a91@reg.example/x", "/subscriptions/" + sub + "/resourceGroups/canary-7f3a91/providers", "reg.example:5000/app:v1@sha256:aa", text, jwt, "bad \xff\x00 utf8", strings.Repeat("é", 4000)} {
		if err := audit(t.Context(), a, Entry{Principal: s, Verb: s, Source: s, Target: s, Old: s, New: s}); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := a.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"canary", sub, text, jwt, "resourceGroups"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("the export contains %s", bad)
		}
	}
	if !strings.Contains(out.String(), "reg.example/x") || !strings.Contains(out.String(), `"reg.example:5000/app:v1@sha256:aa"`) {
		t.Error("the log lost text that is not secret")
	}
	// The export can be verified without package access.
	last := Entry{}
	for line := range strings.Lines(out.String()) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Prev != last.Hash || sum(e) != e.Hash || e.Seq != last.Seq+1 {
			t.Errorf("entry %d does not match the hash of the previous entry", e.Seq)
		}
		last = e
	}
	if last.Seq != 8 {
		t.Error(last.Seq)
	}
}

func BenchmarkAudit(b *testing.B) {
	a := open(b, Config{})
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := audit(context.Background(), a, Entry{Principal: "ci", Verb: "import"}); err != nil {
				b.Error(err)
			}
		}
	})
}
