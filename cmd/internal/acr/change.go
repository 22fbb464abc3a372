package acr

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

const (
	maxBody  = 64 << 10 // bytes of a request
	bodyTime = 30 * time.Second
)

// update locks or unlocks what a names, and answers with its new description.
func (h *handler) update(w http.ResponseWriter, r *http.Request, p access.Principal, a at) {
	if a.list != "" && a.name == "" {
		unsupported(w, http.StatusMethodNotAllowed, "a list cannot be changed")
		return
	}
	place := h.place(a.repo)
	if !h.allowed(w, r, p, access.Ask{Verb: verbPush, Target: place, Write: access.Overwrite},
		access.Ask{Verb: verbDelete, Target: place, Write: access.Delete}) {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // an error means that w has no deadlines
	done, err := h.Memory.Body(r, p.Name, maxBody, memory.Decoded)
	if err != nil {
		Fail(w, err)
		return
	}
	defer done()
	var change oci.Attributes
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&change); err != nil {
		Refuse(w, http.StatusBadRequest, "INVALID",
			"the body must have deleteEnabled, writeEnabled, readEnabled or listEnabled")
		return
	}
	h.audited(w, r, p, "lock", a, "", func(ctx context.Context) error {
		return h.shelf.Change(ctx, a.repo, a.name, change)
	}, func(ctx context.Context) {
		body, err := h.one(ctx, a)
		if err != nil {
			Fail(w, err)
			return
		}
		Answer(w, http.StatusOK, body)
	})
}

// remove deletes a tag alone, a manifest with all its tags, or a repository.
func (h *handler) remove(w http.ResponseWriter, r *http.Request, p access.Principal, a at) {
	if a.list != "" && a.name == "" {
		unsupported(w, http.StatusMethodNotAllowed, "a list cannot be deleted")
		return
	}
	if !h.allowed(w, r, p, access.Ask{Verb: verbDelete, Target: h.place(a.repo), Write: access.Delete}) {
		return
	}
	var old string
	switch a.list {
	case "_tags":
		t, err := h.shelf.Tag(r.Context(), a.repo, a.name)
		if err != nil {
			Fail(w, err)
			return
		}
		old = t.Digest
	case "_manifests":
		old = a.name
	default:
		if _, err := h.shelf.Repository(r.Context(), a.repo); err != nil {
			Fail(w, err)
			return
		}
	}
	var manifests, tags int
	h.audited(w, r, p, verbDelete, a, old, func(ctx context.Context) (err error) {
		if a.list != "" {
			return h.shelf.Delete(ctx, a.repo, a.name)
		}
		manifests, tags, err = h.shelf.DeleteRepository(ctx, a.repo)
		return err
	}, func(context.Context) {
		if a.list != "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		// Azure names what it deletes, up to a limit; dray says how many.
		w.Header().Set("X-Dray-Manifests-Deleted", count(manifests))
		w.Header().Set("X-Dray-Tags-Deleted", count(tags))
		Answer(w, http.StatusAccepted, map[string]any{"manifestsDeleted": []string{}, "tagsDeleted": []string{}})
	})
}

// audited writes a change to the audit log, makes it, and answers with ok. So no change is missing in the log, even if
// the process ends in between. If the change fails, a second entry says that it is not confirmed.
func (h *handler) audited(w http.ResponseWriter, r *http.Request, p access.Principal, verb string, a at, old string,
	change func(context.Context) error, ok func(context.Context)) {
	e := access.Entry{Principal: p.Name, Verb: verb, Target: h.place(a.repo), Old: old}
	switch a.list {
	case "_tags":
		e.Target += ":" + a.name
	case "_manifests":
		e.Target += "@" + a.name
	}
	if err := h.Audit(r.Context(), e); err != nil {
		Fail(w, &fault.Fault{Kind: fault.Unavailable, Op: "write audit log", Err: err})
		return
	}
	if err := change(r.Context()); err != nil {
		e.Verb += " (not confirmed)"
		_ = h.Audit(r.Context(), e) // the first entry is there
		Fail(w, err)
		return
	}
	ok(r.Context())
}
