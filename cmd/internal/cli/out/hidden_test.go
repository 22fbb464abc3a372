package out

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8/decor"
	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/testbed/tricks"
	"github.com/drayage/dray/plan"
)

func TestYAMLEscapesWhatIsNotSeenAndKeepsItsMeaning(t *testing.T) {
	want := map[string]any{
		"a\u202eb": "C1 \u009b, C0 \x1b\x7f, tag \U000e0041, line \u2028, next \u0085, mark \ufeff, joiner \u200d",
		"lines":    "one\ntwo\tthree\u202e\n", "plain": "日本語 é", "list": []any{"\ufe0f", "\u00ad"},
	}
	var b bytes.Buffer
	if err := (&Console{Out: &b}).PrintAz(FormatYAML, nil, want); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && visible.Hidden(r) }) {
		t.Errorf("%q", got)
	}
	var back map[string]any
	if err := yaml.Unmarshal(b.Bytes(), &back); err != nil || !reflect.DeepEqual(back, want) {
		t.Errorf("%v\n%q\n%q", err, back, want)
	}
}

func TestACellIsOneCellOfOneLineInEveryForm(t *testing.T) {
	evil := "a\nFORGED\tx\r\x1b[2J\u202e\u009b"
	for _, as := range []Format{FormatText, FormatTable, FormatTSV, FormatYAML, FormatJSON} {
		var b bytes.Buffer
		c := &Console{Out: visible.NewWriter(&b), How: How{Format: as}}
		err := PrintList(c, []map[string]string{{"name": evil}}, "all", []string{"NAME", "SIZE"}, func(m map[string]string) []string {
			return []string{m["name"], "1"}
		})
		if got := b.String(); err != nil || strings.Contains(got, "\nFORGED") || strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(got), visible.Hidden) {
			t.Errorf("%s: %q, %v", as, got, err)
		}
		if as == FormatTSV && b.String() != `a\nFORGED\tx\r\u001b[2J\u202e\u009b`+"\t1\n" {
			t.Errorf("%q", b.String())
		}
		if as == FormatJSON {
			var back map[string][]map[string]string
			if err := json.Unmarshal(b.Bytes(), &back); err != nil || back["all"][0]["name"] != evil {
				t.Errorf("%q, %v", back, err)
			}
		}
	}
}

func TestExactBytesAreEscapedOnATerminalAlone(t *testing.T) {
	raw := "{\"a\":\"\u202e\u009b\"}\r\n\xff"
	for terminal, want := range map[bool]string{false: raw, true: visible.Text(raw)} {
		var b bytes.Buffer
		if err := (&Console{Out: visible.NewWriter(&b), OutTerminal: terminal}).PrintExact([]byte(raw)); err != nil || b.String() != want {
			t.Errorf("terminal %v: %q, %v", terminal, b.String(), err)
		}
	}
}

func TestTheStreamsOfStepsAndTheStoryEscapeWhatIsHidden(t *testing.T) {
	tricks.Forms(t, "transfer", func(form string, stdout, stderr io.Writer) error {
		c := &Console{Out: visible.NewWriter(stdout), Err: visible.NewWriter(stderr), How: How{Format: Format(form), Verbose: true, Debug: true}, Relay: new(Relay)}
		var step dray.StepReport
		tricks.Fill(&step, 8)
		step.State = dray.Done
		var sum dray.TransferReport
		tricks.Fill(&sum, 8)
		for _, s := range []Steps{c.NewReportOut(), c.NewPlanOut(plan.Plan{Verb: tricks.Text})} {
			if err := errors.Join(s.Step(step), s.Flush(), s.End(sum, errors.New(tricks.Text))); err != nil {
				return err
			}
		}
		return nil
	})
	tricks.Forms(t, "the story", func(_ string, stdout, stderr io.Writer) error {
		c := &Console{Out: visible.NewWriter(stdout), Err: visible.NewWriter(stderr), How: How{Verbose: true, Debug: true}, Relay: new(Relay)}
		s := c.NewStory()
		defer s.End()
		var e event.Event
		tricks.Fill(&e, 8)
		for _, kind := range []event.Kind{
			event.Resolved, event.Committed, event.Tagged, event.Present, event.Mounted, event.Started, event.Moved, event.Restarted,
			event.Retried, event.Waiting, event.Noted,
		} {
			e.Kind = kind
			s.Observe(e)
		}
		var p wire.Progress
		tricks.Fill(&p, 8)
		p.Waiting[0].Until = time.Now().Add(time.Hour)
		s.Say(BeatOf(p))
		s.Say(EndOf(p))
		var q event.Request
		tricks.Fill(&q, 8)
		c.Request(q)
		var report dray.Report
		tricks.Fill(&report, 8)
		for _, parts := range [][]string{Pulls(report), Blobs(report), LostReferrers(report.Referrers())} {
			for _, part := range parts {
				s.Say(part)
			}
		}
		var used *dray.InUseReport
		tricks.Fill(&used, 8)
		c.TellLost(used)
		c.End(t.Context(), errors.New(tricks.Text))
		return nil
	})
}

func TestProgressBarsEscapeWhatIsHidden(t *testing.T) {
	var drawn bytes.Buffer
	b := &bars{out: &drawn, tally: newTally()}
	var p wire.Progress
	tricks.Fill(&p, 8)
	p.Waiting[0].Until = time.Now().Add(time.Hour)
	b.tally.set(p)
	var frame bytes.Buffer
	stat := decor.Statistics{AvailableWidth: 100}
	if err := errors.Join(b.sum(&frame, stat), b.extend(&frame, stat)); err != nil || !strings.Contains(frame.String(), `\u`) {
		t.Errorf("%q: %v", frame.String(), err)
	}
	tricks.Check(t, "a frame", frame.String())
}
