package flag

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/plan"
)

// Referrers holds the flags that choose what travels with an image.
type Referrers struct {
	mode        referrerMode
	types       []string
	annotations []string
}

// AddTo adds the flags.
func (f *Referrers) AddTo(flags *pflag.FlagSet) {
	Group(flags, Along, func(set *pflag.FlagSet) {
		set.Var(&f.mode, "referrers",
			"copy the signatures, SBOMs and other documents that refer to an image, and its digest tags: true with each "+
				"image that is copied, false never, sync also for images that are up to date, which costs at least one "+
				"more request for each, require as true, and one that TARGET refuses is a failure (default that of the "+
				"configuration, else true)")
		set.Lookup("referrers").NoOptDefVal = "true"
		set.StringArrayVar(&f.types, "referrer-type", nil,
			"copy only referrers of the artifact `TYPE`, or with a layer of that media type; repeatable")
		set.StringArrayVar(&f.annotations, "referrer-annotation", nil,
			"copy only referrers with this annotation, `NAME=VALUE`; repeatable, all must be there")
	})
}

// bare is the value of --referrers if it is given without one.
const bare = referrerMode(plan.ReferrersMoving)

// Read returns the choice that the flags make.
func (f *Referrers) Read(cmd *cobra.Command) (plan.Referrers, error) {
	r := plan.Referrers{Mode: plan.ReferrerMode(f.mode), Types: f.types}
	for _, arg := range cmd.Flags().Args() {
		if word := referrerMode(""); f.mode == bare && arg != "true" && word.Set(arg) == nil {
			return r, UsageError(cmd, fmt.Errorf("--referrers %s: the value of this flag follows an equals sign", arg),
				"write --referrers="+arg)
		}
	}
	for _, text := range f.annotations {
		name, value, whole := strings.Cut(text, "=")
		if !whole || name == "" {
			return r, UsageError(cmd, fmt.Errorf("--referrer-annotation %s: not NAME=VALUE", text),
				"write an annotation as NAME=VALUE")
		}
		if r.Annotations == nil {
			r.Annotations = map[string]string{}
		}
		r.Annotations[name] = value
	}
	return r, r.Check()
}

// referrerMode is the value of the flag --referrers; "" means that it is not given.
type referrerMode plan.ReferrerMode

func (m *referrerMode) String() string { return string(*m) }

// Type returns what the help shows as the value of the flag.
func (m *referrerMode) Type() string { return "true|false|sync|require" }

// Set reads the value of the flag.
func (m *referrerMode) Set(s string) error {
	if s == "" {
		return fmt.Errorf("it is empty, and not one of %s", m.Type())
	}
	if err := (*plan.ReferrerMode)(m).UnmarshalText([]byte(s)); err != nil {
		return fmt.Errorf("not one of %s", m.Type())
	}
	return nil
}
