//go:build unix

package access

import (
	"context"
	"database/sql"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	databases "github.com/drayage/dray/internal/testbed/database"
)

// Both databases run the same statements. These tests run them on PostgreSQL.
func TestAllOfItHoldsOnPostgreSQLToo(t *testing.T) {
	cluster := databases.NewPostgres(t)
	onPostgres = cluster.Database
	defer func() { onPostgres = nil }()
	for name, f := range map[string]func(*testing.T){
		"a token is known again":       TestATokenIsShownOnceAndKnownAgain,
		"a token ends":                 TestATokenThatEndedOrWasChangedLetsNobodyIn,
		"its use is written":           TestTheUseOfATokenIsWrittenOnceInAnHour,
		"the person at the machine":    TestThePersonAtTheMachineIsAdminUntilSomebodyIsConfigured,
		"a database that is gone":      TestADatabaseThatIsGoneLetsNobodyIn,
		"many at once":                 TestManyUseAndMakeTokensAtOnce,
		"issued tokens":                TestWhatIssueMakesIsTakenAsItsOwnerIsUntilItEnds,
		"stored logins":                TestStoredLoginsGoToTheirPlaceAlone,
		"a change of keys":             TestAKeyIsChangedByListingTwo,
		"who is still somebody":        TestWhoAskedIsHeldToWhatIsLeftOfThem,
		"the chain":                    TestTheAuditLogIsAChainThatNoticesEveryChange,
		"an audit log without slips":   TestTheAuditLogIsNotChangedByASlip,
		"an audit log in transactions": TestAnEntryIsThereExactlyWhenWhatItTellsOfIs,
		"an audit log without secrets": TestTheAuditLogSaysNoSecretAndNoResourceID,
		"entries that wait":            entriesThatWaitAreChainedInTheirOrder,
		"a change of what waits":       aChangeOfAnEntryThatWaitsIsNoticed,
		"a loop that chains":           whatWaitsIsChainedInTheBackground,
	} {
		t.Run(name, f)
	}
}

// Two processes write at the same time, and both chain. An entry of a transaction that is still open must
// not be lost because a later one is chained before it.
func entriesThatWaitAreChainedInTheirOrder(t *testing.T) {
	t.Helper()
	url, vault := onPostgres(t), testVault(t)
	through := func(more string) *Access { // as behind connection poolers
		t.Helper()
		db, err := store.Open(t.Context(), url+more)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return open(t, Config{DB: db, Vault: vault})
	}
	a, b := through("&default_query_exec_mode=exec&idle_in_transaction_session_timeout=0"), through("&default_query_exec_mode=simple_protocol")
	slow, err := a.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Rollback()
	if err := a.Audit(t.Context(), slow, Entry{Principal: "slow", New: "0"}); err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 2*chainBatch/4 + 3
	var wg sync.WaitGroup
	for w := range writers {
		from := []*Access{a, b}[w%2]
		wg.Go(func() {
			for i := 0; i < each; i += 3 { // three entries in one transaction
				err := from.db.Tx(t.Context(), func(tx *sql.Tx) error {
					for n := range 3 {
						e := Entry{Principal: strconv.Itoa(w), New: strconv.Itoa(i + n)}
						if err := from.Audit(t.Context(), tx, e); err != nil {
							return err
						}
					}
					return nil
				})
				if err == nil && i%30 == 0 {
					err = from.Chain(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := b.Chain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := slow.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	next, last := map[string]int{}, Entry{}
	if _, err := a.walk(t.Context(), 1<<40, func(e Entry) error {
		if e.New != strconv.Itoa(next[e.Principal]) {
			t.Fatalf("%s: entry %s follows %d", e.Principal, e.New, next[e.Principal]-1)
		}
		next[e.Principal]++
		last = e
		return nil
	}); !fault.Is(err, fault.Corrupt) { // the end of the log
		t.Error(err)
	}
	if last.Principal != "slow" || next["0"] != next["3"] || next["0"] < each {
		t.Error(last, next)
	}
}

func aChangeOfAnEntryThatWaitsIsNoticed(t *testing.T) {
	t.Helper()
	a := open(t, Config{})
	for _, who := range []string{"ann", "bob", "cleo"} {
		if err := audit(t.Context(), a, Entry{Principal: who, Verb: "import"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{`DROP TRIGGER audit_waits ON audit_waiting`, `UPDATE audit_waiting SET principal = 'mallory' WHERE principal = 'bob'`} {
		if _, err := a.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Verify(t.Context()); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "entry 3:") || !strings.Contains(err.Error(), "before it was chained") {
		t.Error(err)
	}
	list, err := a.Entries(t.Context(), 0, 0)
	if err != nil || len(list) != 4 || list[1].Verb != changedBefore || list[2].Principal != "mallory" || list[3].Principal != "cleo" {
		t.Error(list, err)
	}
}

func whatWaitsIsChainedInTheBackground(t *testing.T) {
	t.Helper()
	a := open(t, Config{})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { a.KeepChained(ctx, slog.New(slog.DiscardHandler)) })
	defer wg.Wait()
	defer stop()
	if err := audit(t.Context(), a, Entry{Verb: "import"}); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		list, err := a.chained(t.Context(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 {
			return
		}
		if time.Now().After(until) {
			t.Fatal("the entry still waits")
		}
	}
}

func BenchmarkAuditOnPostgreSQL(b *testing.B) {
	cluster := databases.NewPostgres(b)
	onPostgres = cluster.Database
	defer func() { onPostgres = nil }()
	b.SetParallelism(16)
	BenchmarkAudit(b)
}
