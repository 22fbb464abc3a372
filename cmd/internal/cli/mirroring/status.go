package mirroring

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/cmd/internal/schedule"
)

func newMirrorValidate(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a file of rules",
		Long: "Check a file of mirror rules strictly, and print the line of the first error. The registries in it must be " +
			"hosts, or names in the configuration. dray sends no request. With --output json it prints the rules with " +
			"all defaults filled in.",
		Example: "  dray mirror validate mirrors.yaml\n" +
			"  dray mirror validate mirrors.yaml -o json",
		Args: flag.Exactly(1, "one file of rules"),
		RunE: func(_ *cobra.Command, args []string) error {
			m, err := config.ReadMirrors(args[0])
			if err != nil {
				return err
			}
			if err := checkRules(a, m); err != nil {
				return err
			}
			value := struct {
				File  string          `json:"file"`
				Rules []config.Mirror `json:"rules"`
			}{m.Path, m.Rules}
			return a.Print(out.Answer{
				JSON: func() error { return a.PrintJSON(value) },
				Text: func() error {
					return a.Printf("%s is valid: %s\n", m.Path, out.Plural(len(m.Rules), "rule"))
				},
				Header: []string{"FILE", "RULES"},
				Rows:   func(row func(...string) error) error { return row(m.Path, strconv.Itoa(len(m.Rules))) },
			})
		},
	}
}

// checkRules returns the error with which dray mirror would refuse a rule before it sends a request.
func checkRules(a *app.App, m config.Mirrors) error {
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	file, err := a.LoadConfig()
	if err != nil {
		return err
	}
	for _, rule := range m.Rules {
		_, err := mirror.Check(d, rule, time.Now(), a.Note)
		if err == nil {
			_, err = a.NamedGate(file, rule.Gate, "gate "+rule.Gate)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", m.Path, rule.Line, rule.Name, err)
		}
	}
	return nil
}

func newMirrorSchema(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of a file of rules",
		Long:    "Print the JSON Schema (draft 2020-12) of a file of mirror rules, for editors and for checks.",
		Example: "  dray mirror schema > mirrors.schema.json",
		Args:    flag.Exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			if a.Format == out.FormatNone {
				return nil
			}
			return a.PrintText(string(config.MirrorsSchema()))
		},
	}
}

// ruleStatus is what dray mirror status prints about one rule.
type ruleStatus struct {
	Rule     string         `json:"rule"`
	Schedule string         `json:"schedule,omitempty"` // "" means no schedule
	Paused   bool           `json:"paused,omitempty"`
	Next     *time.Time     `json:"next,omitempty"` // without jitter; valid if a watch of the file runs
	Last     *mirror.Result `json:"last,omitempty"` // the last run that was not a dry run
	Good     *time.Time     `json:"lastGood,omitempty"`
}

func newMirrorStatus(a *app.App) *cobra.Command {
	var f mirrorFlags
	cmd := &cobra.Command{
		Use:   "status -f FILE",
		Short: "Show how the last run of each rule ended, and when it runs next",
		Long: "Show for each rule when it ran last, how that run ended, and when the rule runs next. DRIFT is the " +
			"number of tags that were missing or had another digest when that run began, and LEFT is the number of " +
			"steps that failed. dray sends no request; dray mirror --dry-run looks at the registries.",
		Example: "  dray mirror status -f mirrors.yaml\n" +
			"  dray mirror status -f mirrors.yaml -o json",
		Args: flag.Exactly(0, "the rules after -f"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.file == "" {
				return flag.UsageError(cmd, errors.New("-f is missing"), "name the file of the rules")
			}
			m, err := config.ReadMirrors(f.file)
			if err != nil {
				return err
			}
			state, err := mirrorState(a, f)
			if err != nil {
				return err
			}
			return printStatus(a, f.file, statusOf(m, state, time.Now()))
		},
	}
	f.addFileTo(cmd.Flags(), "read the last results from")
	return cmd
}

func statusOf(m config.Mirrors, state mirror.State, now time.Time) []ruleStatus {
	all := []ruleStatus{}
	for _, rule := range m.Rules {
		s := ruleStatus{Rule: rule.Name, Paused: rule.Paused, Schedule: scheduleText(rule.Spec)}
		var last time.Time
		if kept, ok := state.Read(rule.Name); ok {
			s.Last, last = &kept.Last, kept.Last.Began
			switch {
			case kept.Last.Outcome == mirror.OK:
				s.Good = &kept.Last.Began
			case kept.Good != nil:
				s.Good = &kept.Good.Began
			}
		}
		if when, err := schedule.Parse(rule.Spec); err == nil && !rule.Paused && !when.Never() {
			next := when.First(now, last)
			s.Next = &next
		}
		all = append(all, s)
	}
	return all
}

// scheduleText returns a schedule in a few words, such as "every 6h"; "" means no schedule.
func scheduleText(s schedule.Spec) string {
	switch {
	case s.Every != "":
		return "every " + s.Every
	case s.TimeZone != "" && s.Cron != "":
		return s.Cron + " " + s.TimeZone
	}
	return s.Cron
}

func printStatus(a *app.App, file string, all []ruleStatus) error {
	cells := func(s ruleStatus) []string {
		row := []string{s.Rule, dash(s.Schedule), "-", "-", "-", "-", "-"}
		if s.Last != nil {
			row[2], row[3] = stamp(s.Last.Began), string(s.Last.Outcome)
			row[4], row[5] = strconv.Itoa(s.Last.Drift), strconv.Itoa(s.Last.Left)
		}
		switch {
		case s.Paused:
			row[6] = "paused"
		case s.Next != nil:
			row[6] = stamp(*s.Next)
		}
		return row
	}
	header := []string{"RULE", "SCHEDULE", "LAST", "OUTCOME", "DRIFT", "LEFT", "NEXT"}
	rows := func(row func(...string) error) error {
		for _, s := range all {
			if err := row(cells(s)...); err != nil {
				return err
			}
		}
		return nil
	}
	return a.Print(out.Answer{
		JSON: func() error {
			return a.PrintJSON(struct {
				File  string       `json:"file"`
				Rules []ruleStatus `json:"rules"`
			}{file, all})
		},
		Text: func() error {
			tab := a.NewTab()
			tab.Add(header...)
			if err := rows(tab.Row); err != nil {
				return err
			}
			return tab.Flush()
		},
		Header: header,
		Rows:   rows,
	})
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04Z") }
