package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
)

// Main reads an evidence.Request from in and writes its evidence.Answer to out. If there is no answer, it
// writes the reason to errs. It returns the exit code.
func Main(ctx context.Context, in io.Reader, out, errs io.Writer) int {
	answer, err := answerTo(ctx, in)
	if err == nil {
		err = json.NewEncoder(out).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	return 0
}

func answerTo(ctx context.Context, in io.Reader) (evidence.Answer, error) {
	var r evidence.Request
	dec := json.NewDecoder(io.LimitReader(in, evidence.MaxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return evidence.Answer{}, fmt.Errorf("the request is not one that this drayd reads: %w", err)
	}
	if r.Version != evidence.Version {
		return evidence.Answer{}, fmt.Errorf("the request has version %d of the format; this drayd reads %d",
			r.Version, evidence.Version)
	}
	check, err := checkOf(r)
	if err != nil {
		return evidence.Answer{}, err
	}
	a := evidence.Answer{Version: evidence.Version, Image: r.Image.Digest}
	for _, s := range r.Signatures {
		by, err := check(ctx, s)
		if err == nil && by == "" {
			err = errors.New("it does not say who signed")
		}
		if err == nil {
			a.By, a.Found = by, nil
			return a, nil
		}
		a.Found = append(a.Found, fmt.Sprintf("%s: %v", s.From, err))
	}
	return a, nil
}

// checkOf returns the check for what r trusts. The error is about that, not about a signature.
func checkOf(r evidence.Request) (check, error) {
	var all []check
	if len(r.Trust.Keys) > 0 {
		c, err := byKeys(r)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if r.Trust.Keyless != nil {
		c, err := byIdentity(r)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if r.Trust.Notation != nil {
		c, err := byPolicy(r)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) != 1 {
		return nil, errors.New("the request does not say whom to trust in exactly one way")
	}
	return all[0], nil
}
