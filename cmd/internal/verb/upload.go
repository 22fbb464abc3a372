package verb

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// Upload is the file of a plan that a client sends.
type Upload struct {
	File io.Reader
	Key  string       // the idempotency key; "" means none
	Hold *memory.Hold // what the request holds of the server's memory; nil means no limit
}

// Upload stores the file of a plan, and submits the job that makes it a plan of the server. It checks the file line by
// line while it reads it, and stores it in pieces, so the file may be larger than memory.
//
// Errors are Invalid for a line that is no line of a plan, which it names, that of File, and those of Submit. Nothing
// is stored then.
func (s *Service) Upload(ctx context.Context, p access.Principal, u Upload) (j job.Job, fresh bool, err error) {
	r := wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Uploaded: true}}
	if _, err := s.Prepare(ctx, p, r); err != nil { // before anything is read or stored
		return job.Job{}, false, err
	}
	file := s.queue.NewFile()
	if r.Plan.Digest, err = keep(ctx, file, u); err != nil {
		file.Drop(ctx)
		return job.Job{}, false, err
	}
	sub, err := s.Prepare(ctx, p, r)
	if err != nil {
		file.Drop(ctx)
		return job.Job{}, false, err
	}
	sub.Key, sub.File = u.Key, file
	return s.queue.Submit(ctx, sub)
}

// keep copies the lines of u into file, and returns the digest of what it has read.
func keep(ctx context.Context, file *job.File, u Upload) (digest string, err error) {
	sum := sha256.New()
	lines := &lines{ctx: ctx, in: bufio.NewReaderSize(u.File, 32<<10), sum: sum, hold: u.Hold}
	in, err := plan.NewReader(lines)
	if err != nil {
		return "", cmp.Or(lines.err, err)
	}
	head, err := headerOf(in.Header())
	for end := false; ; {
		if err != nil {
			return "", cmp.Or(lines.err, err)
		}
		if err = file.Write(ctx, append(head, '\n')); err != nil {
			return "", err
		}
		if end {
			return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
		}
		var step plan.Step
		if step, end, err = next(in); end {
			head = []byte(plan.End)
		} else if err == nil {
			head, err = lineOf(step)
		}
	}
}

const (
	maxUploadedLine = 1 << 20  // bytes of a line; a step with thousands of referrers is shorter
	shortLine       = 64 << 10 // bytes of a line, and of what it costs, that take nothing of the budget
)

// lines passes on what in has, and never more than one line at once. So a reader that looks for the end of a line has
// no more than this line in memory. It limits the length of lines, and takes what they weigh of the budget.
type lines struct {
	ctx  context.Context //nolint:containedctx // an io.Reader has no other way to a context
	in   *bufio.Reader
	sum  hash.Hash // of what was passed on
	hold *memory.Hold
	err  error // the first error that is not of the form of the plan

	n      int   // the number of the line
	length int64 // of the line so far
	cost   int64
	long   bool // there was a long line, and hold has taken what it weighs
	ended  bool // the line was passed on, and another one begins
}

func (l *lines) Read(p []byte) (int, error) {
	n, err := l.read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

func (l *lines) read(p []byte) (int, error) {
	if l.ended || l.n == 0 {
		if l.cost > shortLine { // it is decoded
			if err := l.hold.Take(l.ctx, memory.Decoded, 0); err != nil {
				return 0, err
			}
		}
		l.n, l.length, l.cost, l.ended = l.n+1, 0, 0, false
	}
	if _, err := l.in.Peek(1); err != nil {
		return 0, err
	}
	some, _ := l.in.Peek(min(len(p), l.in.Buffered()))
	for i, c := range some {
		if c == '\n' {
			some, l.ended = some[:i+1], true
			break
		}
	}
	l.length, l.cost = l.length+int64(len(some)), l.cost+memory.Cost(some)
	if err := l.weigh(); err != nil {
		return 0, err
	}
	l.sum.Write(some)
	n := copy(p, some)
	_, err := l.in.Discard(n)
	return n, err
}

// weigh takes of the budget what the line weighs.
func (l *lines) weigh() error {
	if l.length > maxUploadedLine {
		return &fault.Fault{Kind: fault.Invalid, Op: "read plan", Name: fmt.Sprintf("line %d", l.n),
			Err:  fmt.Errorf("the line is longer than %d MiB", maxUploadedLine>>20),
			Hint: "make the plan again, with --dry-run -o json"}
	}
	if l.length > shortLine && !l.long {
		if err := l.hold.Take(l.ctx, memory.Lines, 2*maxUploadedLine); err != nil { // the buffer of the reader doubles
			return err
		}
		l.long = true
	}
	if l.ended && l.cost > shortLine {
		return l.hold.Take(l.ctx, memory.Decoded, l.cost)
	}
	return nil
}
