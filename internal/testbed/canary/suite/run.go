package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drayage/dray/internal/testbed/canary"
)

// line is an event of go test -json.
type line struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// run runs go test with arguments. It prints what it finds, and the result of each package, and returns how many
// places contain secrets.
func run(ctx context.Context, args []string, out io.Writer) (leaks int, err error) {
	dir, err := os.MkdirTemp("", "dray-canary-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	changed, err := overlay(ctx, dir)
	if err != nil {
		return 0, err
	}
	s := &searcher{kept: filepath.Join(dir, "kept"), out: out, taps: map[string]*canary.Tap{}}
	if err := os.Mkdir(s.kept, 0o700); err != nil {
		return 0, err
	}
	args = slices.Concat([]string{"test", "-overlay", changed, "-count=1", "-json"}, args)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), kept+"="+s.kept)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	read := s.read(json.NewDecoder(events))
	if err := cmd.Wait(); err != nil {
		return s.leaks, fmt.Errorf("go test: %w", err)
	}
	return s.leaks, read
}

// scripts begins the names of the tests whose output is not searched. It repeats the arguments of each command, and has
// the tokens that some commands are there to show. The tests of the command line search what each command writes.
const scripts = "TestScripts/"

// searcher searches what tests print and what they leave.
type searcher struct {
	kept  string
	out   io.Writer
	taps  map[string]*canary.Tap // the output of each test by "PACKAGE TEST"
	leaks int
}

func (s *searcher) read(events *json.Decoder) error {
	for {
		var l line
		if err := events.Decode(&l); errors.Is(err, io.EOF) {
			return s.files()
		} else if err != nil {
			return err
		}
		name := strings.TrimSpace(l.Package + " " + l.Test)
		switch l.Action {
		case "output":
			if s.taps[name] == nil {
				s.taps[name] = &canary.Tap{}
			}
			if !strings.HasPrefix(l.Test, scripts) {
				if _, err := io.WriteString(s.taps[name], l.Output); err != nil {
					return err
				}
			}
			if l.Test == "" || strings.HasPrefix(l.Output, "--- FAIL") {
				fmt.Fprint(s.out, l.Output)
			}
		case "pass", "fail", "skip":
			if tap := s.taps[name]; tap != nil {
				s.tell("output of "+name, tap.Found())
				delete(s.taps, name)
			}
			if err := s.files(); err != nil {
				return err
			}
		}
	}
}

// files searches the directories that tests have left so far, and removes them.
func (s *searcher) files() error {
	left, err := os.ReadDir(s.kept)
	if err != nil {
		return err
	}
	for _, d := range left {
		dir := filepath.Join(s.kept, d.Name())
		found, err := canary.Walk(dir, canary.Excuses(program(d.Name())))
		if err != nil {
			return err
		}
		for name, f := range found {
			s.tell("file "+d.Name()+"/"+name, f)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// program returns the last element of the package whose test program left a directory: PACKAGE.test+TEST+….
func program(dir string) string {
	name, _, _ := strings.Cut(dir, ".test+")
	return name
}

func (s *searcher) tell(where string, found []canary.Finding) {
	for _, f := range found {
		s.leaks++
		fmt.Fprintf(s.out, "LEAK %s: %s\n", where, f)
	}
}
