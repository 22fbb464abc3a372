package gatekeeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/fault"
)

const (
	maxProcesses = 2                // verifiers that run at the same time: each needs a processor
	maxRun       = 60 * time.Second // of one verifier
	maxAnswer    = 1 << 20          // bytes
)

// Program returns a Verify that runs drayd, which find finds. The process gets no environment and no file,
// and needs no network.
func Program(find func() (string, error)) Verify {
	places := make(chan struct{}, maxProcesses)
	return func(ctx context.Context, request []byte) ([]byte, error) {
		if find == nil {
			return nil, errors.New("this program does not know where drayd is")
		}
		path, err := find()
		if err != nil {
			return nil, err
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
			return nil, canceled(ctx)
		}
		return run(ctx, path, request)
	}
}

func run(ctx context.Context, path string, request []byte) ([]byte, error) {
	if len(request) > evidence.MaxRequest {
		return nil, fmt.Errorf("they have more than %d MiB", evidence.MaxRequest>>20)
	}
	short, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()
	cmd := exec.CommandContext(short, path, evidence.Command)
	cmd.Env = []string{}
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(request)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &capped{&out, maxAnswer}, &capped{&said, 1 << 10}
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, canceled(ctx)
	case short.Err() != nil:
		return nil, fmt.Errorf("drayd did not answer within %v", maxRun)
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		if line != "" {
			err = fmt.Errorf("%w: %s", err, line)
		}
		return nil, fmt.Errorf("%s %s: %w", path, evidence.Command, err)
	}
	return out.Bytes(), nil
}

func canceled(ctx context.Context) error {
	return &fault.Fault{Kind: fault.Canceled, Op: "verify signatures", Err: context.Cause(ctx)}
}

// capped writes at most left bytes and drops the rest, so that a process that writes without end takes no
// memory.
type capped struct {
	to   io.Writer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	keep := p[:min(len(p), c.left)]
	c.left -= len(keep)
	if _, err := c.to.Write(keep); err != nil {
		return 0, err
	}
	return len(p), nil
}
