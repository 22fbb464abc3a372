package suite

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// Run runs all tests of an engine.
func Run(t *testing.T, b Bed) {
	t.Helper()
	for _, f := range []func(*testing.T, Bed){
		testAJobRunsAndItsReportItemsAndLogCanBeRead,
		testASubmissionThatFailsLeavesNothing,
		testAKeyStandsForOneJobForADay,
		testTheQueuedJobsOfAPrincipalAreLimited,
		testTheSchedulesOfAPrincipalAreLimited,
		testAListHasPagesAndFilters,
		testStatsCountsJobsAndTheAgeOfTheOldest,
		testABudgetIsSharedAndNeverOverdrawn,
		testAQueuedJobIsCanceledAtOnceAndNeverRuns,
		testARunningJobIsCanceled,
		testAStoppedWorkerQueuesItsJobsAgain,
		testAJobThatEndsWithinTheGraceIsNotRunAgain,
		testAJobCanWaitAndContinue,
		testAPanicFailsOneJobAndNotTheOthers,
		testProgressIsWrittenFromTimeToTimeWhileAJobRuns,
		testAWatchMissesNoStateAndResumesAfterAnEvent,
		testAReaderOfItemsAndLogMissesNothing,
		testManyJobsOfOneDoNotDelayTheFirstOfAnother,
		testWorkersAreListed,
		testAScheduleFiresOnceAndSkipsWhatItMissed,
		testAnInvalidRuleOrZoneIsRefused,
		testAScheduleIsFiredByTheEngine,
		testADividedJobIsTheSumOfItsParts,
		testACanceledDividedJobHasTheSumOfWhatWasDone,
		testAPartCanWaitAndFail,
		testAJobThatRunsElsewhereIsWatchedAndCanceled,
	} {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		t.Run(strings.TrimPrefix(name[strings.LastIndex(name, ".")+1:], "test"), func(t *testing.T) {
			if b.Parallel {
				t.Parallel()
			}
			f(t, b)
		})
	}
}
