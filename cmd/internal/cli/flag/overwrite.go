package flag

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/plan"
)

// AddBackupTo adds the flag of verbs that may overwrite tags.
func AddBackupTo(flags *pflag.FlagSet, template *string) {
	flags.StringVar(template, "backup", "", "keep a tag that is overwritten as `TEMPLATE` beside it, with {tag}, {digest12}, {digest} and {date} (default it is not kept)")
}

// BackupOf reads --backup. The date is that of now in UTC; a template without one gives equal plans on any day.
func BackupOf(template string, now time.Time) (plan.Backup, error) {
	b := plan.Backup{Template: template}
	if strings.Contains(template, "{date}") {
		b.Date = now.UTC().Format("20060102")
	}
	return b, b.Check()
}

// Overwrite is the value of --overwrite.
type Overwrite plan.Overwrite

func (o *Overwrite) String() string { return string(*o) }

func (o *Overwrite) Type() string { return "refuse|update|always" }

func (o *Overwrite) Set(s string) error {
	switch plan.Overwrite(s) {
	case plan.Refuse, plan.Update, plan.Always:
		*o = Overwrite(s)
		return nil
	}
	return errors.New("not one of " + o.Type())
}
