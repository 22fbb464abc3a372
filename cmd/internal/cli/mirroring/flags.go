package mirroring

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/fault"
)

// mirrorFlags holds the flags of dray mirror and of the commands below it.
type mirrorFlags struct {
	file     string
	once     bool
	watch    bool
	dryRun   bool
	rules    []string
	state    string
	parallel int
}

// addFileTo adds the flags of every command that reads a file of rules; state says what the command does with
// the results of earlier runs.
func (f *mirrorFlags) addFileTo(flags *pflag.FlagSet, state string) {
	flags.StringVarP(&f.file, "file", "f", "", "read the rules from `FILE`")
	flags.StringVar(&f.state, "state", "",
		state+" `DIR` (default below $DRAY_STATE_DIR, else ~/.local/state/dray)")
}

// read reads the file and returns it with the rules that --rule selects.
func (f mirrorFlags) read(cmd *cobra.Command) (config.Mirrors, error) {
	if f.file == "" {
		return config.Mirrors{}, flag.UsageError(cmd, errors.New("-f is missing"), "name the file of the rules")
	}
	return f.pick(config.ReadMirrors(f.file))
}

func (f mirrorFlags) pick(m config.Mirrors, err error) (config.Mirrors, error) {
	if err != nil {
		return m, err
	}
	var names []string
	for _, r := range m.Rules {
		names = append(names, r.Name)
	}
	for _, name := range f.rules {
		if !slices.Contains(names, name) {
			return m, &fault.Fault{
				Kind: fault.Invalid,
				Op:   "read mirrors",
				Name: f.file,
				Err:  fmt.Errorf("no rule is called %q", name),
				Hint: "the rules are: " + strings.Join(names, ", "),
			}
		}
	}
	m.Rules = slices.DeleteFunc(m.Rules, func(r config.Mirror) bool {
		if len(f.rules) == 0 {
			return r.Paused
		}
		return !slices.Contains(f.rules, r.Name)
	})
	return m, nil
}

// mirrorState returns the place where results are kept.
func mirrorState(a *app.App, f mirrorFlags) (mirror.State, error) {
	if f.state != "" {
		return mirror.State{Dir: f.state}, nil
	}
	return mirror.StateFor(a.StateDir(), f.file)
}
