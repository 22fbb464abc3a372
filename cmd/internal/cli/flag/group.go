package flag

import "github.com/spf13/pflag"

// GroupKey is the annotation of a flag that holds the heading under which the help lists it. A flag
// without one stands under "Flags". Headings appear in the order in which a command adds its flags.
const GroupKey = "dray-group"

// The headings that several commands share.
const (
	WhichRepositories = "Which repositories"
	WhichTags         = "Which tags"
	TargetNames       = "Names at the target"
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
	set.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{GroupKey: {heading}} })
	flags.SortFlags = false
	flags.AddFlagSet(set)
}

// HeadingOf returns the heading under which the help lists f; "" means the command's own flags.
func HeadingOf(f *pflag.Flag) string {
	if in := f.Annotations[GroupKey]; len(in) == 1 {
		return in[0]
	}
	return ""
}
