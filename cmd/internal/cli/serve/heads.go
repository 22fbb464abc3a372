package serve

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// printHead prints the signed head. As JSON it is one line, which a shell can append to a file.
func printHead(ctx context.Context, a *app.App, o app.Office) error {
	h, err := o.Head(ctx)
	if err != nil {
		return err
	}
	return a.Print(out.Answer{
		JSON: func() error {
			enc := json.NewEncoder(a.Out)
			enc.SetEscapeHTML(false)
			return enc.Encode(h)
		},
		Text: func() error {
			return a.Printf("entry      %d\nhash       %s\nsigned at  %s\nkey        %s\nsignature  %s\n",
				h.Seq, out.Dashed(h.Hash), out.Moment(h.At), h.Key, h.Signature)
		},
		Header: []string{"SEQ", "HASH", "AT", "KEY", "SIGNATURE"},
		Rows: func(row func(...string) error) error {
			return row(strconv.FormatInt(h.Seq, 10), out.Dashed(h.Hash), out.Moment(h.At), h.Key, h.Signature)
		},
	})
}

// verifyAudit checks the chain of the log, and the heads in the file against; "" means none.
func verifyAudit(ctx context.Context, a *app.App, o app.Office, against string) error {
	var heads []wire.Head
	if against != "" {
		var err error
		if heads, err = readHeads(a, against); err != nil {
			return err
		}
	}
	if err := o.Verify(ctx); err != nil {
		return err
	}
	if err := compareHeads(ctx, o, heads); err != nil {
		return err
	}
	verdict := struct {
		Whole bool       `json:"whole"`
		Heads int        `json:"heads,omitempty"` // signed heads that the log was compared with
		Last  *wire.Head `json:"last,omitempty"`  // the one with the greatest sequence number
	}{Whole: true, Heads: len(heads)}
	text, last := "the audit log is complete", "-"
	if n := len(heads); n > 0 {
		verdict.Last = &heads[n-1]
		last = strconv.FormatInt(verdict.Last.Seq, 10)
		text = fmt.Sprintf("the audit log is complete, and agrees with %s; the last is entry %s, signed at %s",
			out.Plural(n, "signed head"), last, out.Moment(verdict.Last.At))
	}
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(verdict) },
		Text:   func() error { return a.Println(text) },
		Header: []string{"WHOLE", "HEADS", "LAST"},
		Rows:   func(row func(...string) error) error { return row("true", strconv.Itoa(len(heads)), last) },
	})
}

// readHeads reads the signed heads of a file, by their sequence numbers. It passes over lines that have none: the
// file may be a log of the server.
func readHeads(a *app.App, name string) ([]wire.Head, error) {
	const op, longest = "read heads", 1 << 20
	in, where := a.IO.In, "standard input"
	if name != "-" {
		f, err := textfile.Open(op, name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in, where = f, name
	}
	var heads []wire.Head
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longest)
	for lines.Scan() {
		var h wire.Head
		if json.Unmarshal(lines.Bytes(), &h) == nil && h.Signature != "" {
			heads = append(heads, h)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, headFault(fault.Invalid, op, where, "use lines of at most 1 MiB", err)
	}
	if len(heads) == 0 {
		return nil, headFault(fault.Invalid, op, where, "use the file of server.audit-heads, what "+
			shell.Dray("serve", "audit", "--head", "-o", "json")+" printed, or a log of the server in JSON",
			errors.New("there is no signed head in it"))
	}
	slices.SortStableFunc(heads, func(a, b wire.Head) int { return cmp.Compare(a.Seq, b.Seq) })
	return heads, nil
}

// compareHeads returns an error if a head was not signed by this server, or if the log has something else in its place.
func compareHeads(ctx context.Context, o app.Office, heads []wire.Head) error {
	if len(heads) == 0 {
		return nil
	}
	now, err := o.Head(ctx)
	if err != nil {
		return err
	}
	keys := append([]string{now.Key}, now.Older...)
	var page []wire.Entry
	for _, h := range heads {
		name := fmt.Sprintf("head of entry %d", h.Seq)
		switch {
		case !h.Signed():
			return headFault(fault.Corrupt, "verify audit log", name, "use another copy of the heads",
				errors.New("the signature does not fit: the head was changed"))
		case !slices.Contains(keys, h.Key):
			return headFault(fault.Corrupt, "verify audit log", name, "use the heads of this server; after a change "+
				"of its key, keep the old key below the new one", errors.New("this server does not have the key that signed it"))
		}
		if h.Seq == 0 { // the log was empty
			continue
		}
		if len(page) == 0 || h.Seq > page[len(page)-1].Seq {
			if page, _, err = o.Entries(ctx, h.Seq-1); err != nil {
				return err
			}
		}
		at, found := slices.BinarySearchFunc(page, h.Seq, func(e wire.Entry, seq int64) int {
			return cmp.Compare(e.Seq, seq)
		})
		if !found || page[at].Hash != h.Hash {
			return headFault(fault.Corrupt, "verify audit log", fmt.Sprintf("entry %d", h.Seq),
				"compare with an export or a backup",
				errors.New("it is not the entry that the server signed at "+out.Moment(h.At)+": the log was written anew"))
		}
	}
	return nil
}

func headFault(kind fault.Kind, op, name, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: op, Name: name, Hint: hint, Err: err}
}
