package flag

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// List holds the flags about a list of images.
type List struct {
	File     string
	Skip     bool // the value of --skip-broken
	strip    []string
	rewrites []string

	renames plan.Renames // rewrites, parsed
}

// ListOf returns the list in file, for a command that has the other flags by itself.
func ListOf(file string, strip, rewrites []string) *List {
	return &List{File: file, strip: strip, rewrites: rewrites}
}

// AddFileTo adds the flags that name the list.
func (l *List) AddFileTo(flags *pflag.FlagSet) {
	Group(flags, "Which images", func(set *pflag.FlagSet) {
		set.StringVarP(&l.File, "file", "f", "", "read the list from `FILE`; - is stdin")
		set.BoolVar(&l.Skip, "skip-broken", false,
			"leave out tags that their repository lists and whose manifest does not exist, "+
				"and name them in the report (default such a tag fails)")
	})
}

// AddPathsTo adds the flags that make the target of a source that stands alone.
func (l *List) AddPathsTo(flags *pflag.FlagSet) {
	Group(flags, TargetNames, func(set *pflag.FlagSet) {
		set.StringArrayVar(&l.strip, "strip", nil,
			"for a source without a target: remove `PREFIX` from it, and the rest is its target; "+
				"repeatable, the first that matches is removed")
		set.StringArrayVar(&l.rewrites, "rewrite", nil,
			"for a source without a target: make its target with `s/RE2/TEXT/`, after --strip; "+
				"repeatable, applied one after the other")
	})
}

// Read reads the list that the flags name; in is stdin.
func (l *List) Read(cmd *cobra.Command, in io.Reader) (list config.List, err error) {
	if l.File == "" {
		return list, UsageError(cmd, errors.New("-f is missing"), "name the file of the list, or - for stdin")
	}
	if l.renames, err = plan.ParseRenames(l.rewrites); err != nil {
		return list, err
	}
	if l.File == "-" {
		return config.ReadList(in, "stdin")
	}
	file, err := textfile.Open("read list", l.File)
	if err != nil {
		return list, err
	}
	defer file.Close()
	return config.ReadList(file, l.File)
}

// Entries makes the entries of a request from a list. A source that stands alone gets the target that the
// flags make of it. The error is Invalid: the flags make a target that is too long. Or it is that of ctx.
func (l *List) Entries(ctx context.Context, d *dray.Dray, list config.List) ([]dray.BatchEntry, error) {
	entries := make([]dray.BatchEntry, len(list.Entries))
	for i, e := range list.Entries {
		entries[i] = dray.BatchEntry{
			Source:    e.Source,
			Targets:   e.Targets,
			Overwrite: plan.Overwrite(e.Overwrite),
			Own:       e.Own,
			Line:      e.Line,
		}
		if len(e.Targets) > 0 {
			continue
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		to, err := l.target(d, e.Source)
		if err != nil {
			return nil, err
		}
		if to != "" {
			// The rest after --strip is a path, even if it looks like a host. An expression may make a full name.
			entries[i].Targets, entries[i].Paths = []string{to}, len(l.renames) == 0
		}
	}
	return entries, nil
}

// target returns the target that --strip and --rewrite make of a source as it is typed, or of its
// canonical name if they do not change the typed one. It returns "" if they change neither. The tag is
// kept; a digest is not part of a target.
func (l *List) target(d *dray.Dray, source string) (string, error) {
	if len(l.strip)+len(l.renames) == 0 {
		return "", nil
	}
	typed, _, _ := strings.Cut(source, "@")
	if to, err := l.change(typed); err != nil || to != typed {
		return to, err
	}
	n, err := d.Name(source, fault.Source)
	if err != nil {
		return "", nil //nolint:nilerr // planning reports what is wrong with the name
	}
	whole := n.Repo.Tagged(n.Tag).String()
	if to, err := l.change(whole); err != nil || to != whole {
		return to, err
	}
	return "", nil
}

func (l *List) change(name string) (string, error) {
	for _, prefix := range l.strip {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			name = rest
			break
		}
	}
	return l.renames.Apply(name, ref.MaxPath+len(":")+ref.MaxTag)
}
