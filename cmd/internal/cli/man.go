package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// newMan makes dray man, which prints the manual pages of root and of all commands below it.
func newMan(root func() *cobra.Command) *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "Print a manual page, or write all of them",
		Example: "  dray man import > dray-import.1\n" +
			"  dray man | man -l -\n" +
			"  dray man --dir /usr/local/share/man/man1",
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dir != "" && len(args) > 0 {
			return flag.UsageError(cmd, errors.New("--dir and a command both given"), "--dir writes the pages of all commands")
		}
		root := root()
		root.InitDefaultHelpCmd()
		if dir != "" {
			return manuals(dir, root)
		}
		page, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 || !page.HasParent() && len(args) > 0 {
			return flag.UnknownCommand(root, strings.Join(args, " "))
		}
		_, err = io.WriteString(cmd.OutOrStdout(), manual(page))
		return err
	}
	cmd.Flags().StringVar(&dir, "dir", "",
		"write the pages of all commands into `DIR`, which is created if it does not exist")
	return cmd
}

// manuals writes the manual pages of cmd and of each command below it into dir.
func manuals(dir string, cmd *cobra.Command) error {
	err := os.MkdirAll(dir, 0o755) //nolint:gosec // everybody may read manual pages
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, pageName(cmd)+".1"), []byte(manual(cmd)), 0o644) //nolint:gosec // likewise
	}
	if err != nil {
		return &fault.Fault{
			Kind: fault.Unavailable,
			Op:   "write manual pages",
			Name: dir,
			Hint: "check the permissions of the directory and the free space",
			Err:  out.Bare(err),
		}
	}
	for _, c := range cmd.Commands() {
		if c.Hidden {
			continue
		}
		if err := manuals(dir, c); err != nil {
			return err
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manual returns the manual page of cmd, in the man macros that every system has.
func manual(cmd *cobra.Command) string {
	var b strings.Builder
	name := pageName(cmd)
	about, usage := aboutOf(cmd)
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"dray %s\"\n", strings.ToUpper(name), app.ThisBuild().Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", roff(usage))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", strings.ReplaceAll(roff(about), "\n\n", "\n.PP\n"))
	if cmd.HasSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, c := range cmd.Commands() {
			if !c.Hidden {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c.Name()), roff(c.Short))
			}
		}
	}
	b.WriteString(".SH OPTIONS\n")
	for _, g := range flagGroups(cmd) {
		fmt.Fprintf(&b, ".SS %s\n", roff(g.title))
		for _, f := range g.flags {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(flagName(f))), roff(flagText(f)))
		}
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, e := range out.ExitMeanings {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", e.Code, roff(e.Meaning))
	}
	fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	if above := cmd.Parent(); above != nil {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(pageName(above)))
	}
	return b.String()
}

// roff escapes everything in s that troff would read as an instruction.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
