package list

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Locked returns why tag, which exists, cannot be moved: "the tag is locked (writeEnabled=false)".
// It returns "" if the tag can be moved, and if the registry does not tell. It makes one request at
// ACR, ECR, Harbor and Quay, and none at other registries. Canceled is the only Kind of error.
func (r *Lister) Locked(ctx context.Context, tag string) (why string, err error) {
	switch r.Host.Product() {
	case "acr":
		why, err = r.lockedACR(ctx, tag)
	case "ecr":
		var immutable bool
		if immutable, _, err = r.taught.ecr.Immutable(ctx, r.Repo, tag); immutable {
			why = "the tag is immutable (imageTagMutability of the repository)"
		}
	case "harbor":
		why, err = r.lockedHarbor(ctx, tag)
	case "quay":
		why, err = r.lockedQuay(ctx, tag)
	}
	if !fault.Is(err, fault.Canceled) {
		err = nil // an unanswered question does not count as a lock; the push will show it
	}
	return why, err
}

// lockedACR reads the tag's attributes (GET /acr/v1/{name}/_tags/{tag}). It uses a token of its
// own, because the attributes require the action metadata_read, which a push does not.
func (r *Lister) lockedACR(ctx context.Context, tag string) (string, error) {
	login, err := r.Access.Who(ctx)
	if err != nil {
		return "", err
	}
	who := wire.NewAccess(nil, r.Repo, &login, "repository:"+r.Repo.Path+":metadata_read")
	c := &wire.Call{
		Op:      "look at lock of",
		Name:    r.At(tag),
		Method:  http.MethodGet,
		Path:    "/acr/v1/" + r.Repo.Path + "/_tags/" + tag,
		Access:  who,
		Observe: r.Observe,
		Single:  true,
	}
	a, err := r.Host.Do(ctx, c, http.StatusOK)
	if err != nil {
		return "", err
	}
	var said struct {
		Tag struct {
			Attributes struct {
				Write *bool `json:"writeEnabled"`
			} `json:"changeableAttributes"`
		} `json:"tag"`
	}
	if json.Unmarshal(a.Raw, &said) != nil || said.Tag.Attributes.Write == nil || *said.Tag.Attributes.Write {
		return "", nil
	}
	return "the tag is locked (writeEnabled=false)", nil
}

// lockedHarbor reads whether a rule of the project makes the tag immutable.
func (r *Lister) lockedHarbor(ctx context.Context, tag string) (string, error) {
	project, repository, _ := strings.Cut(r.Repo.Path, "/")
	// A slash in the repository's name is encoded twice (Harbor API v2.0).
	path := "/api/v2.0/projects/" + project + "/repositories/" + url.PathEscape(url.PathEscape(repository)) +
		"/artifacts/" + tag + "/tags"
	c := &wire.Call{Op: "look at lock of", Name: r.At(tag), Method: http.MethodGet, Observe: r.Observe, Stay: true}
	a, err := r.API(ctx, c, path, url.Values{"with_immutable_status": {"true"}, "q": {"name=" + tag}}.Encode())
	if err != nil || a.Status != http.StatusOK {
		return "", err
	}
	var tags []struct {
		Name      string `json:"name"`
		Immutable bool   `json:"immutable"`
	}
	if json.Unmarshal(a.Raw, &tags) != nil {
		return "", nil
	}
	for _, t := range tags {
		if t.Name == tag && t.Immutable {
			return "the tag is immutable (a rule of the project)", nil
		}
	}
	return "", nil
}

// lockedQuay asks Quay's API. It accepts no login of the registry, so only public repositories
// answer.
func (r *Lister) lockedQuay(ctx context.Context, tag string) (string, error) {
	c := &wire.Call{
		Op:      "look at lock of",
		Name:    r.At(tag),
		Method:  http.MethodGet,
		Observe: r.Observe,
		Stay:    true,
		Path:    "/api/v1/repository/" + r.Repo.Path + "/tag/",
		Query:   url.Values{"specificTag": {tag}, "onlyActiveTags": {"true"}, "limit": {"1"}}.Encode(),
		Single:  true,
	}
	a, err := r.Host.Do(ctx, c, http.StatusOK)
	if err != nil {
		return "", err
	}
	var page struct {
		Tags []struct {
			Name      string `json:"name"`
			Immutable bool   `json:"immutable"`
		} `json:"tags"`
	}
	if json.Unmarshal(a.Raw, &page) != nil {
		return "", nil
	}
	for _, t := range page.Tags {
		if t.Name == tag && t.Immutable {
			return "the tag is immutable", nil
		}
	}
	return "", nil
}

// Locks calls visit with each tag that has a lock, from ACR's own list of tags: one request for a
// thousand tags. For any other registry the error is Refused.
func (r *Lister) Locks(ctx context.Context, visit func(tag string, l oci.Locks) error) error {
	c := r.acrCall("list locks of", "/_tags")
	if err := r.azures(c); err != nil {
		return err
	}
	type row struct {
		Name       string         `json:"name"`
		Attributes oci.Attributes `json:"changeableAttributes"`
	}
	seen, room := map[string]bool{}, r.taught.share()
	defer room.leave()
	l := acrPages(r, "tags", c, func(t row) string { return t.Name })
	l.show = func(rows []row) (fresh int, err error) {
		for _, t := range rows {
			if seen[t.Name] || ref.Tag(t.Name) != nil {
				continue
			}
			if err := room.take(len(t.Name)); err != nil {
				return fresh, named(c.Op, c.Name, err)
			}
			seen[t.Name] = true
			fresh++
			if locks := t.Attributes.Locks(); locks != (oci.Locks{}) {
				if err := visit(t.Name, locks); err != nil {
					return fresh, err
				}
			}
		}
		return fresh, nil
	}
	_, err := r.WithScope(ctx, "metadata_read", l.run)
	return err
}

// Lock sets the locks in l on a tag, and leaves its other attributes unchanged. It returns nil only if the
// answer confirms the locks. For any other registry the error is Refused.
func (r *Lister) Lock(ctx context.Context, tag string, l oci.Locks) error {
	off := func(b bool) *bool {
		if !b {
			return nil
		}
		return new(bool)
	}
	_, err := r.SetAttributes(ctx, tag,
		oci.Attributes{Delete: off(l.Delete), Write: off(l.Write), List: off(l.List), Read: off(l.Read)})
	return err
}

// HasAttributes reports whether the registry is known to have Azure's attributes.
func (r *Lister) HasAttributes() bool { return r.Host.Product() == "acr" }

// Attributes returns what Azure's registry knows of a tag, a digest, or the repository (""): a JSON object with
// changeableAttributes, as GET /acr/v1/{name}/… answers. For any other registry the error is Refused.
func (r *Lister) Attributes(ctx context.Context, reference string) ([]byte, error) {
	c := r.attributesCall("look at", reference)
	if err := r.azures(c); err != nil {
		return nil, err
	}
	return r.attributed(ctx, c, "metadata_read")
}

// SetAttributes changes the attributes of a, and leaves those that are nil as they are: PATCH. It returns what
// Attributes returns then, and only if that confirms a.
func (r *Lister) SetAttributes(ctx context.Context, reference string, a oci.Attributes) ([]byte, error) {
	c := r.attributesCall("lock", reference)
	c.Method = http.MethodPatch
	if err := r.azures(c); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(a)
	if err != nil {
		return nil, c.Fault(fault.Internal, "", err)
	}
	c.Header, c.Size = http.Header{"Content-Type": {"application/json"}}, int64(len(raw))
	c.Body = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	said, err := r.attributed(ctx, c, "metadata_write")
	if err != nil {
		return nil, err
	}
	var now struct {
		Attributes oci.Attributes `json:"changeableAttributes"`
	}
	if json.Unmarshal(said, &now) != nil || !a.Within(now.Attributes) {
		return nil, c.Fault(fault.Unavailable, "", errUnlocked)
	}
	return said, nil
}

// attributesCall asks for the attributes of a tag, a digest, or the repository ("").
func (r *Lister) attributesCall(op, reference string) *wire.Call {
	tail := ""
	switch {
	case strings.Contains(reference, ":"):
		tail = "/_manifests/" + reference
	case reference != "":
		tail = "/_tags/" + reference
	}
	c := r.acrCall(op, tail)
	c.Query = ""
	if reference != "" {
		c.Name = r.At(reference)
	}
	return c
}

// attributed sends c with a token for the action, and returns the object about the name in the answer.
func (r *Lister) attributed(ctx context.Context, c *wire.Call, action string) (said []byte, err error) {
	_, err = r.WithScope(ctx, action, func(ctx context.Context) (bool, error) {
		a, err := r.Host.Do(ctx, c, http.StatusOK)
		if err != nil {
			return false, err
		}
		var within struct {
			Tag      json.RawMessage `json:"tag"`
			Manifest json.RawMessage `json:"manifest"`
		}
		if json.Unmarshal(a.Raw, &within) != nil {
			return false, c.Fault(fault.Unavailable, "", errors.New("the registry's answer is no JSON object"))
		}
		said = []byte(cmp.Or(string(within.Tag), string(within.Manifest), string(a.Raw)))
		return false, nil
	})
	return said, err
}

var (
	errNoAzure  = errors.New("only Azure's registries have such locks")
	errUnlocked = errors.New("the registry's answer does not confirm the lock")
)

// azures returns an error unless the registry is known to be an Azure container registry.
func (r *Lister) azures(c *wire.Call) error {
	if r.HasAttributes() {
		return nil
	}
	hint := "for an Azure registry with a custom domain, set kind: acr in the configuration"
	return c.Fault(fault.Refused, hint, errNoAzure)
}
