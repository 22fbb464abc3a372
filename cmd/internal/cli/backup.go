package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/plan"
)

// addBackupTo adds the flag of verbs that may overwrite tags.
func addBackupTo(flags *pflag.FlagSet, template *string) {
	flags.StringVar(template, "backup", "", "keep a tag that is overwritten as `TEMPLATE` beside it, with {tag}, {digest12}, {digest} and {date} (default it is not kept)")
}

// backupOf reads --backup. The date is that of now in UTC; a template without one gives equal plans on any day.
func backupOf(template string, now time.Time) (plan.Backup, error) {
	b := plan.Backup{Template: template}
	if strings.Contains(template, "{date}") {
		b.Date = now.UTC().Format("20060102")
	}
	return b, b.Check()
}

// retagLine is "NAME: OLD -> NEW (kept as TAG)".
func retagLine(name, was, is, kept string) string {
	line := fmt.Sprintf("%s: %s -> %s", name, was, is)
	if kept != "" {
		line += " (kept as " + kept + ")"
	}
	return line
}
