// Command catalog runs the tests that docs/faults.md names, and prints each fault with what its tests did. It fails if
// a fault has no test, or if a test fails, is skipped or does not exist. It runs in the root of the repository.
//
// With the argument limits it does the same for docs/limits.md, one package after the other, and also prints what
// the tests measured. A test that is skipped is shown, and is no failure: some limits need the rights of root.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	about := kinds["faults"]
	if len(os.Args) > 1 {
		about = kinds[os.Args[1]]
	}
	err := run(ctx, os.Stdout, about)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "catalog:", err)
		os.Exit(1)
	}
}

// kind is one of the catalogs.
type kind struct {
	what, page string
	flags      []string // of go test
	maySkip    bool
}

var kinds = map[string]kind{
	"faults": {"faults", "faults.md", nil, false},
	"limits": {"limits", "limits.md", []string{"-p=1"}, true},
}

// fault is a row of the catalog.
type fault struct {
	id, what string
	tests    []string
}

// result is what a test did. Tests of the same name in several packages are taken together.
type result struct {
	state   string // pass, skip or fail
	seconds float64
	figures []string
}

func run(ctx context.Context, out io.Writer, about kind) error {
	page, err := os.ReadFile(filepath.Join("docs", about.page))
	if err != nil {
		return err
	}
	faults := parse(string(page))
	names := map[string]bool{}
	for _, f := range faults {
		for _, t := range f.tests {
			names[t] = true
		}
	}
	rooms, err := packages(names)
	if err != nil {
		return err
	}
	args := slices.Concat([]string{"test", "-json", "-count=1", "-vet=off", "-timeout", "40m",
		"-run", "^(" + strings.Join(slices.Sorted(maps.Keys(names)), "|") + ")$"}, about.flags, rooms)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	raw, failed := cmd.Output() // a test that fails is in the table
	results, err := read(raw)
	if err != nil {
		return err
	}
	bad := about.table(out, faults, results)
	switch {
	case bad > 0:
		return fmt.Errorf("%d of %d %s are not shown", bad, len(faults), about.what)
	case failed != nil:
		return fmt.Errorf("go test: %w", failed)
	}
	return nil
}

var code = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")

var row = regexp.MustCompile(`^[FL]-[0-9]`)

// parse returns the rows of the catalog.
func parse(page string) []fault {
	var all []fault
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !row.MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		f := fault{id: strings.TrimSpace(cells[1]), what: strings.TrimSpace(cells[2])}
		for _, match := range code.FindAllStringSubmatch(cells[len(cells)-2], -1) {
			f.tests = append(f.tests, match[1])
		}
		all = append(all, f)
	}
	return all
}

var declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)

// packages returns the directories of the packages that have these tests.
func packages(names map[string]bool) ([]string, error) {
	dirs := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range declared.FindAllSubmatch(raw, -1) {
			if names[string(match[1])] {
				dirs["./"+filepath.ToSlash(filepath.Dir(path))] = true
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(dirs)), err
}

// read returns the results in the output of go test -json.
func read(raw []byte) (map[string]result, error) {
	worse := []string{"pass", "skip", "fail"}
	all := map[string]result{}
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var e struct {
			Action, Test, Key, Value string
			Elapsed                  float64
		}
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go test: %w", err)
		}
		if e.Action == "attr" && e.Key == "figure" {
			name, _, _ := strings.Cut(e.Test, "/")
			r := all[name]
			r.figures = append(r.figures, e.Value)
			all[name] = r
		}
		if e.Test == "" || strings.Contains(e.Test, "/") || !slices.Contains(worse, e.Action) {
			continue
		}
		r := all[e.Test]
		if r.state == "" || slices.Index(worse, e.Action) > slices.Index(worse, r.state) {
			r.state = e.Action
		}
		r.seconds += e.Elapsed
		all[e.Test] = r
	}
}

// table writes the table, and returns how many faults are not shown by their tests.
func (k kind) table(out io.Writer, faults []fault, results map[string]result) (bad int) {
	ran := map[string]bool{}
	for _, f := range faults {
		state, seconds := "shown", 0.0
		if len(f.tests) == 0 {
			state = "NO TEST"
		}
		for _, t := range f.tests {
			ran[t] = true
			r := results[t]
			seconds += r.seconds
			if r.state != "pass" {
				state = strings.ToUpper(cmp.Or(r.state, "missing")) + " " + t
			}
		}
		if state != "shown" && (!k.maySkip || !strings.HasPrefix(state, "SKIP ")) {
			bad++
		}
		fmt.Fprintf(out, "%-6s %2d tests %6.2f s  %s: %s\n", f.id, len(f.tests), seconds, state, f.what)
		for _, t := range f.tests {
			for _, figure := range results[t].figures {
				fmt.Fprintf(out, "       %s\n", figure)
			}
		}
	}
	fmt.Fprintf(out, "\n%d %s, %d shown by %d tests\n", len(faults), k.what, len(faults)-bad, len(ran))
	return bad
}
