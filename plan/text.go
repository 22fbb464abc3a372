package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
)

// lazily returns a function that compiles expr at its first call. Most runs need none of the expressions,
// and compiling all of them would noticeably delay the start of a small command.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// invalid returns the error about a text that op cannot use: its name, the cause, and a hint or "".
func invalid(op, name string, cause error, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Err: cause, Hint: hint}
}

// canceled returns the error of op if ctx has ended, and nil otherwise. Loops over names of others ask it.
func canceled(ctx context.Context, op string) error {
	if ctx.Err() == nil {
		return nil
	}
	return &fault.Fault{Kind: fault.Canceled, Op: op, Err: context.Cause(ctx)}
}

// shown quotes s for an error, and shortens it if it is long.
func shown(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// once returns texts in their order, each once.
func once(texts []string) []string {
	var out []string
	for _, s := range texts {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// strict reads a JSON object without unknown fields. Its errors do not have the words of encoding/json.
func strict(line []byte, into any, what string) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if field, ok := strings.CutPrefix(fmt.Sprint(err), "json: unknown field "); ok {
		return fmt.Errorf("not a %s of dray: unknown field %s", what, field)
	} else if err != nil && !fault.Is(err, fault.Invalid) { // names and digests have errors of dray
		return fmt.Errorf("not a %s of dray", what)
	} else if err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("there is text after the JSON object")
	}
	return nil
}
