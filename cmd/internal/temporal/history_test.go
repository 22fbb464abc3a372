//go:build unix

package temporal_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/temporal"
)

// runs returns the histories of all runs of all workflows of a namespace: as text, and by workflow type the
// length of the longest.
func runs(tb testing.TB, e *temporal.Engine) (text string, longest map[string]int) {
	tb.Helper()
	longest = map[string]int{}
	var all strings.Builder
	var next []byte
	for first := true; first || len(next) > 0; first = false {
		page, err := e.Client().ListWorkflow(tb.Context(),
			&workflowservice.ListWorkflowExecutionsRequest{Namespace: e.Namespace(), NextPageToken: next})
		must(tb, err)
		next = page.NextPageToken
		for _, w := range page.Executions {
			events := 0
			it := e.Client().GetWorkflowHistory(tb.Context(), w.Execution.WorkflowId, w.Execution.RunId, false,
				enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for it.HasNext() {
				event, err := it.Next()
				must(tb, err)
				events++
				all.WriteString(plain(tb, event))
			}
			longest[w.Type.Name] = max(longest[w.Type.Name], events)
		}
	}
	return all.String(), longest
}

// plain returns an event as text, with its payloads decoded.
func plain(tb testing.TB, event *history.HistoryEvent) string {
	tb.Helper()
	out, err := protojson.Marshal(event)
	must(tb, err)
	text := string(out) + "\n"
	for _, p := range payloads(event) {
		text += string(p) + "\n"
	}
	return text
}

func payloads(event *history.HistoryEvent) (all [][]byte) {
	started := event.GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()
	child := event.GetStartChildWorkflowExecutionInitiatedEventAttributes().GetInput().GetPayloads()
	again := event.GetWorkflowExecutionContinuedAsNewEventAttributes().GetInput().GetPayloads()
	ordered := event.GetActivityTaskScheduledEventAttributes().GetInput().GetPayloads()
	done := event.GetActivityTaskCompletedEventAttributes().GetResult().GetPayloads()
	for _, list := range [][]*common.Payload{started, child, again, ordered, done} {
		for _, p := range list {
			all = append(all, p.GetData())
		}
	}
	return all
}

func TestHistoriesAreSmallAndTellNothing(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q, e := openBoth(t, p)
	e.DivideBy(8)
	suite.Work(t, q, 8, newRunner())
	as := func(s *job.Submission) {
		s.Principal, s.Source, s.Target = "principal-hunter2", "source-hunter2", "target-hunter2"
	}
	for _, kind := range []string{"done", "fail", "wait", "parts 30"} {
		ended(t, q, submit(t, q, kind, as).ID)
	}
	text, longest := runs(t, e)
	for _, never := range []string{"hunter2", "principal", "registry.example"} {
		if strings.Contains(text, never) {
			t.Errorf("a history contains %q", never)
		}
	}
	for _, there := range []string{"job.v1", "range.v1", `"Parts":30`} { // else the dump is not one
		if !strings.Contains(text, there) {
			t.Errorf("no history contains %q", there)
		}
	}
	if longest["job.v1"] > 120 || longest["range.v1"] > 8*6+20 {
		t.Error(longest)
	}
	t.Log(longest)
}

// A transfer of ten thousand repositories. Its histories stay small however many parts it has.
func TestAJobOfTenThousandParts(t *testing.T) {
	t.Parallel()
	n := 10_000
	if os.Getenv("DRAY_SOAK") == "" {
		t.Skip("SKIPPED: it takes minutes; make soak runs it")
	}
	p := here(t)
	db := witness(t, p)
	q, e := openBoth(t, p)
	suite.Work(t, q, 16, newRunner())
	ended(t, q, submit(t, q, fmt.Sprintf("parts %d", n)).ID)
	if done := count(t, db, `SELECT count(DISTINCT part) FROM effects`); done != n {
		t.Error(done, "parts")
	}
	_, longest := runs(t, e)
	if longest["job.v1"] > 3100 || longest["range.v1"] > 3100 {
		t.Error(longest)
	}
	t.Log(longest)
}
