package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// attributes are what ACR lets be changed about a tag (changeableAttributes, api-version
// 2021-07-01). What is not said is enabled.
type attributes struct {
	Delete *bool `json:"deleteEnabled,omitempty"`
	Write  *bool `json:"writeEnabled,omitempty"`
	List   *bool `json:"listEnabled,omitempty"`
	Read   *bool `json:"readEnabled,omitempty"`
}

func (a attributes) locks() oci.Locks {
	off := func(b *bool) bool { return b != nil && !*b }
	return oci.Locks{Delete: off(a.Delete), Write: off(a.Write), List: off(a.List), Read: off(a.Read)}
}

// locking says l and nothing else: what it does not lock stays as it is.
func locking(l oci.Locks) attributes {
	off := func(b bool) *bool {
		if !b {
			return nil
		}
		return new(bool)
	}
	return attributes{Delete: off(l.Delete), Write: off(l.Write), List: off(l.List), Read: off(l.Read)}
}

// Locks calls visit with each tag on which something is locked, as ACR's own list of tags
// tells it: one request for a thousand tags. Another registry is Refused.
func (r *Repository) Locks(ctx context.Context, visit func(tag string, l oci.Locks) error) error {
	c := r.acrCall("list locks of", "/_tags")
	if err := r.azures(c); err != nil {
		return err
	}
	type row struct {
		Name       string     `json:"name"`
		Attributes attributes `json:"changeableAttributes"`
	}
	seen := map[string]bool{}
	l := &pages[row]{host: r.host, key: "tags", call: c, show: func(rows []row) (fresh int, err error) {
		for _, t := range rows {
			if seen[t.Name] || ref.Tag(t.Name) != nil {
				continue
			}
			seen[t.Name] = true
			fresh++
			if locks := t.Attributes.locks(); locks != (oci.Locks{}) {
				if err := visit(t.Name, locks); err != nil {
					return fresh, err
				}
			}
		}
		return fresh, nil
	}}
	_, err := r.withScope(ctx, "metadata_read", l.run)
	return err
}

// Lock locks what l says on a tag, and leaves its other attributes alone:
// PATCH /acr/v1/{name}/_tags/{tag}. It returns when the registry has said that it is so.
// Another registry is Refused.
func (r *Repository) Lock(ctx context.Context, tag string, l oci.Locks) error {
	c := r.acrCall("lock", "/_tags/"+tag)
	c.name, c.method, c.query = r.at(tag), http.MethodPatch, ""
	if err := r.azures(c); err != nil {
		return err
	}
	raw, err := json.Marshal(locking(l))
	if err != nil {
		return c.fault(fault.Internal, "", err)
	}
	c.header, c.size = http.Header{"Content-Type": {"application/json"}}, int64(len(raw))
	c.body = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	_, err = r.withScope(ctx, "metadata_write", func(ctx context.Context) (bool, error) {
		a, err := r.host.do(ctx, c, http.StatusOK)
		if err != nil {
			return false, err
		}
		var said struct {
			Tag struct {
				Attributes attributes `json:"changeableAttributes"`
			} `json:"tag"`
			Attributes attributes `json:"changeableAttributes"`
		}
		if json.Unmarshal(a.raw, &said) != nil || l.Beyond(said.Tag.Attributes.locks()) != (oci.Locks{}) && l.Beyond(said.Attributes.locks()) != (oci.Locks{}) {
			return false, c.fault(fault.Unavailable, "", errUnlocked)
		}
		return false, nil
	})
	return err
}

var (
	errNoAzure  = errors.New("only Azure's registries have such locks")
	errUnlocked = errors.New("the registry's answer does not say that it is locked")
)

// azures refuses registries that are not known to be Azure's.
func (r *Repository) azures(c *call) error {
	if r.host.product() == "acr" {
		return nil
	}
	return c.fault(fault.Refused, "if it is one under a name of its own, set kind: acr for it in the configuration", errNoAzure)
}
