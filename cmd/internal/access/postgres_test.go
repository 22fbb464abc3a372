//go:build unix

package access

import (
	"testing"

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
	} {
		t.Run(name, f)
	}
}

func BenchmarkAuditOnPostgreSQL(b *testing.B) {
	cluster := databases.NewPostgres(b)
	onPostgres = cluster.Database
	defer func() { onPostgres = nil }()
	b.SetParallelism(16)
	BenchmarkAudit(b)
}
