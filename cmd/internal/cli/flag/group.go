package flag

import "github.com/spf13/pflag"

// GroupKey is the annotation of a flag that holds the heading under which the help lists it. A flag
// without one stands under "Flags". Headings appear in the order in which a command adds its flags.
const GroupKey = "dray-group"

// The headings that several commands share.
const (
	WhichRepositories = "Which repositories"
	WhichTags         = "Which tags"
	WhichPlatforms    = "Which platforms"
	TargetNames       = "Names at the target"
	Along             = "What travels with an image"
	Safety            = "Safety"
	Speed             = "Speed"
	AzFlags           = "az compatibility"
	AtServer          = "Server"
	Registries        = "Registries"
	EveryCommand      = "Every command"
)

// Group adds to flags those that define makes, under a heading, and keeps their order.
func Group(flags *pflag.FlagSet, heading string, define func(*pflag.FlagSet)) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false
	define(set)
	set.VisitAll(func(f *pflag.Flag) { annotate(f, GroupKey, heading) })
	flags.SortFlags = false
	flags.AddFlagSet(set)
}

func annotate(f *pflag.Flag, key, value string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[key] = []string{value}
}

// emptyKey is the annotation of a flag that may be empty, and then means as much as no flag. Pipelines pass empty
// parameters on to az and to acr_transfer.py.
const emptyKey = "dray-may-be-empty"

// MayBeEmpty lets the flags with these names be empty.
func MayBeEmpty(set *pflag.FlagSet, names ...string) {
	for _, name := range names {
		annotate(set.Lookup(name), emptyKey, "")
	}
}

// HeadingOf returns the heading under which the help lists f; "" means the command's own flags.
func HeadingOf(f *pflag.Flag) string {
	if in := f.Annotations[GroupKey]; len(in) == 1 {
		return in[0]
	}
	return ""
}
