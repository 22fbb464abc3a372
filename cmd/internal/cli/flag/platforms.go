package flag

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Platforms holds the flags that choose platforms of images.
type Platforms struct {
	words    []string
	sparse   bool
	optional bool
}

// AddTo adds the flags to those of a verb. about says what happens to the platforms, as in "copy only".
func (f *Platforms) AddTo(flags *pflag.FlagSet, about string) {
	Group(flags, WhichPlatforms, func(set *pflag.FlagSet) {
		set.StringArrayVar(&f.words, "platform", nil,
			about+" this `OS/ARCH[/VARIANT][:VERSION]` of each image, such as linux/arm64 or windows/amd64:10.0.17763; "+
				"repeatable, also with commas; all means every platform (default all, or those of the configuration)")
		set.BoolVar(&f.sparse, "sparse", false,
			"with --platform: keep the index of an image with its digest and its signatures, although the target does "+
				"not get all of its images; some registries refuse that (default an index of those platforms alone, "+
				"with another digest)")
		set.BoolVar(&f.optional, "platform-optional", false,
			"with --platform: take the platforms that an image has (default an image that lacks one is an error)")
	})
}

// Read returns the choice of the flags.
func (f *Platforms) Read() (plan.Platforms, error) {
	p, err := plan.ParsePlatforms(f.words...)
	if err != nil {
		return p, err
	}
	if f.sparse {
		p.Form = plan.Sparse
	}
	if f.optional {
		p.Lacks = plan.Optional
	}
	return p, p.Check()
}

// PlatformWords returns the flags that make the choice p, for lines that are shown.
func PlatformWords(p plan.Platforms) (words []string) {
	if !p.All() || p.Form == plan.Whole {
		words = append(words, "--platform", oci.PlatformsString(p.Only))
	}
	if p.Form == plan.Sparse {
		words = append(words, "--sparse")
	}
	if p.Lacks == plan.Optional {
		words = append(words, "--platform-optional")
	}
	return words
}

// AddPlatformTo adds the flag of verbs that look at one platform of an image.
func AddPlatformTo(flags *pflag.FlagSet, p *oci.Platform) {
	flags.Var((*one)(p), "platform",
		"look at the image for `OS/ARCH[/VARIANT][:VERSION]` in an index, such as linux/arm64 (default the index itself)")
}

// one is the value of a flag that names one platform.
type one oci.Platform

func (o *one) Type() string { return "string" }

func (o *one) String() string { return oci.PlatformString((*oci.Platform)(o)) }

func (o *one) Set(s string) error {
	if s == oci.AllPlatforms || strings.Contains(s, ",") {
		return fault.Misuse("read platform", s, "it is not one platform", "name one, such as linux/arm64")
	}
	p, err := oci.ParsePlatform(s)
	*o = one(p)
	return err
}
