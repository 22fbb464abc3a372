package cli

import (
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/fault"
)

// absurd has values that no flag of a type takes.
var absurd = map[string][]string{
	"int":      {"-2", "99999999999", "99999999999999999999999", "1.5", "ten"},
	"int64":    {"-2", "99999999999999999999999", "1.5", "ten"},
	"float64":  {"-1", "-0.001", "NaN", "Inf", "-Inf", "1e300", "1e999", "ten"},
	"duration": {"-1s", "-1ns", "999999h", "99999999999h", "10", "ten", "1e3"},
	"SIZE":     {"-1", "0", "9999999999999999GiB", "99999999999999999999999", "NaN", "ten"},
}

// A number or a time that a flag cannot take is refused by the name of the flag, with the value and the range.
func TestEachNumberThatIsOutOfRangeIsNamedWithItsFlag(t *testing.T) {
	tried := 0
	var each func(path []string, cmd *cobra.Command)
	each = func(path []string, cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			each(append(path, below.Name()), below)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			values, known := absurd[f.Value.Type()]
			if !known && strings.ContainsAny(f.DefValue, "0123456789") && f.Value.Type() != "string" {
				t.Errorf("%v --%s has a type that this test does not know: %s", path, f.Name, f.Value.Type())
			}
			for _, v := range values {
				tried++
				refuses(t, path, f.Name, v)
			}
			if f.Value.Type() == "int" && !strings.Contains(f.Usage, "0 means") && f.Name != "max-repositories" && f.Name != "min-tags" {
				refuses(t, path, f.Name, "0")
			}
		})
	}
	each(nil, newRoot(app.New(nil, app.IO{Env: noEnv}), nil))
	if tried < 200 {
		t.Errorf("only %d values were tried: the flags were not found", tried)
	}
}

func refuses(t *testing.T, path []string, name, value string) {
	t.Helper()
	root := newRoot(app.New(nil, app.IO{Env: noEnv}), nil)
	cmd, _, err := root.Find(path)
	if err != nil {
		t.Fatal(path, err)
	}
	if err = cmd.ParseFlags([]string{"--" + name + "=" + value}); err != nil {
		err = flag.Translate(cmd, err)
	} else {
		err = flag.RefuseUseless(cmd, nil)
	}
	shown := err != nil && (strings.Contains(err.Error(), "--"+name+" "+value) || strings.Contains(err.Error(), "--"+name+" "+strconv.Quote(value)) ||
		strings.Contains(err.Error(), "--"+name+" ") && (strings.HasPrefix(value, "1e") || strings.Contains(value, "Inf") || strings.HasSuffix(value, "h") || strings.HasSuffix(value, "s")))
	if !fault.Is(err, fault.Invalid) || !shown || !strings.Contains(fault.HintOf(err), "write ") && !strings.Contains(err.Error(), "SIZE") && name != "bandwidth" {
		t.Errorf("%v --%s=%s: %v (hint: %s)", path, name, value, err, fault.HintOf(err))
	}
}
