package bundling

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// NewBundle makes the command dray bundle.
func NewBundle(a *app.App) *cobra.Command {
	return flag.Gathered("bundle create|verify|load|have",
		"Carry images to a registry that no network reaches",
		"Carry images to a registry that no network reaches, in files that are verified at both sides. A bundle "+
			"has exactly what the receiver lacks, if the receiver has sent a list of what it has.\n\n"+
			"A bundle is an OCI image layout in a tar, or in several of a limited size, or in a directory.",
		"  dray bundle create -f images.txt -o images.tar\n"+
			"  dray bundle load images.tar inside.example\n"+
			"  dray bundle have inside.example > have\n"+
			"  dray bundle create --transfer dev/team/ --since have -o more.tar --split 4GB",
		newCreate(a), newVerify(a), newLoad(a), newHave(a))
}

func newVerify(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE...",
		Short: "Prove that the files of a bundle are as they were written",
		Long: "Read each byte of the files of a bundle, and compare it with what was written. FILE is a file of the " +
			"bundle, or a directory into which such files were extracted. Each file can be verified alone.\n\n" +
			"dray prints a line for each part that is damaged, with the images that need it. It sends no request. " +
			"Exit code 0 means that all files that were given are whole, 1 that something is damaged. A note names the " +
			"files that were not given.",
		Example: "  dray bundle verify images.tar\n" +
			"  dray bundle verify /media/stick/images.*.tar -o json",
		Args: flag.AtLeast(1, "the files of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error { return runVerify(a, cmd, args) },
	}
}

func runVerify(a *app.App, cmd *cobra.Command, files []string) error {
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	s := a.NewStory()
	defer s.End()
	ctx := cmd.Context()
	b, err := app.Patiently(ctx, app.Grace, func() (dray.Bundle, error) {
		return d.VerifyBundle(ctx, files, s.Observe)
	})
	s.End()
	if err != nil && len(b.Damages) == 0 {
		return err
	}
	if perr := printVerified(a, b); perr != nil {
		return perr
	}
	if err != nil {
		if !a.Quiet {
			a.Warnf("%s of the bundle damaged; %s", out.Plural(len(b.Damages), "part"), fault.HintOf(err))
		}
		return out.Ended(out.ExitCode(err))
	}
	if len(b.Waiting) > 0 && !a.Quiet {
		a.Warnf("note: not given: volume %s", numbers(b.Waiting))
	}
	return nil
}

func printVerified(a *app.App, b dray.Bundle) error {
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(b) },
		Text: func() error {
			for _, d := range b.Damages {
				if err := a.Println("damaged  " + out.OneLine(d.Text)); err != nil {
					return err
				}
			}
			if len(b.Damages) > 0 {
				return nil
			}
			for _, v := range b.Volumes {
				if err := a.Printf("whole  %s: volume %d\n", v.File, v.Number); err != nil {
					return err
				}
			}
			return nil
		},
		Header: []string{"STATE", "FILE", "VOLUME", "PART", "NAMES"},
		Rows: func(row func(...string) error) error {
			for _, d := range b.Damages {
				if err := row("damaged", d.File, strconv.Itoa(d.Volume), d.Part, strings.Join(d.Names, " ")); err != nil {
					return err
				}
			}
			for _, v := range b.Volumes {
				if len(b.Damages) > 0 {
					break
				}
				if err := row("whole", v.File, strconv.Itoa(v.Number), "", ""); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
