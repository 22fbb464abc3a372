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
	Group(flags, Safety, func(set *pflag.FlagSet) {
		set.StringVar(template, "backup", "",
			"before a tag is replaced, keep its image under another tag, made from `TEMPLATE` "+
				"with {tag}, {digest12}, {digest} and {date} (default the image is not kept)")
	})
}

// AddGateTo adds the flag of verbs that move images.
func AddGateTo(flags *pflag.FlagSet, gates *[]string) {
	Group(flags, Safety, func(set *pflag.FlagSet) {
		set.StringArrayVar(gates, "verify-signature", nil,
			"move an image only if it has a trusted signature: `GATE` is a gate of the configuration, or a file "+
				"with a public key of cosign; repeatable, each must admit the image")
	})
}

// BackupOf reads the value of --backup. {date} is the day of now in UTC. A template without {date}
// makes equal plans on any day.
func BackupOf(template string, now time.Time) (plan.Backup, error) {
	b := plan.Backup{Template: template}
	if strings.Contains(template, "{date}") {
		b.Date = now.UTC().Format("20060102")
	}
	return b, b.Check()
}

// AddOverwriteTo adds the flag that says what happens to a target tag that has another digest.
func AddOverwriteTo(flags *pflag.FlagSet, o *Overwrite) {
	Group(flags, Safety, func(set *pflag.FlagSet) {
		set.Var(o, "overwrite",
			"if a target tag has another digest, refuse to replace it, or update it; "+
				"always also writes tags again that are up to date")
	})
}

// AddForceTo adds the flag with which az acr import, and dray's verbs like it, overwrite tags.
func AddForceTo(flags *pflag.FlagSet, force *bool) {
	Group(flags, Safety, func(set *pflag.FlagSet) {
		set.BoolVar(force, "force", false, "replace target tags that have another digest")
	})
}

// AddDryRunTo adds the flag of verbs that can plan without writing.
func AddDryRunTo(flags *pflag.FlagSet, dryRun *bool) {
	Group(flags, Safety, func(set *pflag.FlagSet) {
		set.BoolVar(dryRun, "dry-run", false, "print what would be done and write nothing")
	})
}

// Overwrite is the value of the flag --overwrite.
type Overwrite plan.Overwrite

func (o *Overwrite) String() string { return string(*o) }

// Type returns what the help shows as the value of the flag.
func (o *Overwrite) Type() string { return "refuse|update|always" }

// Set reads the value of the flag.
func (o *Overwrite) Set(s string) error {
	switch plan.Overwrite(s) {
	case plan.Refuse, plan.Update, plan.Always:
		*o = Overwrite(s)
		return nil
	}
	return errors.New("not one of " + o.Type())
}
