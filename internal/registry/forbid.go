package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/registry/answer"
	"github.com/drayage/dray/internal/registry/locks"
)

const catalogPath = "/v2/_catalog"

// unlocked reports whether no lock forbids a request. If one does, it answers the request. A tag is checked again when
// it is set or deleted, because a lock may come in between.
func (r *Registry) unlocked(a *answer.Answer, req *http.Request, in reference.Named, part, last string) bool {
	ctx, repo := req.Context(), in.Name()
	if part == "uploads" {
		repo = strings.TrimSuffix(repo, "/blobs")
	}
	var err error
	switch reads := req.Method == http.MethodGet || req.Method == http.MethodHead; {
	case part == "tags", part == "uploads" && (reads || req.Method == http.MethodDelete):
	case part == "manifests" && reads:
		err = r.mayPull(ctx, repo, last)
	case reads:
		err = r.mayPull(ctx, repo, "")
	case part == "blobs":
		if err = r.mayDelete(ctx, repo); err == nil && req.Method == http.MethodDelete {
			err = r.locks.Spared(ctx, repo, digest.Digest(last))
		}
	case part == "manifests" && req.Method == http.MethodDelete:
	case part == "manifests":
		err = r.mayPush(ctx, repo, last)
	default:
		err = r.mayPush(ctx, repo, "")
	}
	if err != nil {
		r.fail(a, req, err)
	}
	return err == nil
}

// list answers a request for the tags of repo, or for the catalog if repo is nil, without what may not be listed.
func (r *Registry) list(a *answer.Answer, req *http.Request, repo reference.Named) {
	hides, err := r.hides(req.Context(), repo)
	if err != nil {
		r.fail(a, req, err)
		return
	}
	if hides == nil {
		r.app.ServeHTTP(a, req)
		return
	}
	kept := &keptAnswer{Answer: a}
	r.app.ServeHTTP(kept, req)
	raw := kept.body.Bytes()
	var all map[string]json.RawMessage
	key := "tags"
	if repo == nil {
		key = "repositories"
	}
	var names []string
	if json.Unmarshal(raw, &all) == nil && json.Unmarshal(all[key], &names) == nil {
		shown := slices.DeleteFunc(slices.Clone(names), hides)
		if len(shown) < len(names) {
			all[key], _ = json.Marshal(shown) // strings
			raw, _ = json.Marshal(all)
			a.Header().Del("Content-Length")
		}
	}
	if kept.status != 0 {
		a.WriteHeader(kept.status)
	}
	_, _ = a.Write(raw) // an error means that the client has gone
}

// hides returns a function that reports whether a tag of repo, or a repository if repo is nil, may not be listed. It is
// nil if all may be.
func (r *Registry) hides(ctx context.Context, repo reference.Named) (func(name string) bool, error) {
	if repo == nil {
		return r.locks.Hidden(ctx)
	}
	l, err := r.locks.Lately(ctx, repo.Name())
	if l.None() {
		return nil, err
	}
	return func(name string) bool { return !l.Of(name).List }, err
}

// keptAnswer keeps an answer until it is complete.
type keptAnswer struct {
	*answer.Answer
	status int
	body   bytes.Buffer
}

func (k *keptAnswer) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

func (k *keptAnswer) Write(p []byte) (int, error) { return k.body.Write(p) }

// fail answers 405 to what a lock forbids, as Azure's registries do. It logs another err, and answers 500. If a
// response was already started, it only logs.
func (r *Registry) fail(a *answer.Answer, req *http.Request, err error) {
	if locked, ok := errors.AsType[*locks.Locked](err); ok {
		answer.Refuse(a, http.StatusMethodNotAllowed, errcode.ErrorCodeUnsupported.WithMessage(locked.Error()))
		return
	}
	r.log.LogAttrs(req.Context(), slog.LevelError, "storage", slog.String("method", req.Method),
		slog.String("path", req.URL.Path), slog.Any("err", err))
	if a.Status == 0 {
		answer.Refuse(a, http.StatusInternalServerError, errcode.ErrorCodeUnknown)
	}
}
