package read

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

// maxReferrers is the largest number of referrers of one document that are listed.
const maxReferrers = 10_000

// Referrers lists the documents whose subject is d. It uses the referrers API or, if the registry
// does not have it, the referrers tag (distribution-spec v1.1.1 §Listing Referrers, §Backwards
// Compatibility).
func (r *Reader) Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	c := r.Call("list referrers of", http.MethodGet, "/referrers/"+string(d.Digest), r.BlobName(d))
	if err := c.Checked(string(d.Digest)); err != nil {
		return nil, err
	}
	if r.taught.has(noReferrers) {
		return r.referrersByTag(ctx, d)
	}
	c.Header, c.Limit = http.Header{"Accept": {oci.TypeIndex}}, oci.MaxDocument
	var all []oci.Descriptor
	asked := map[string]bool{}
	for {
		a, err := r.Host.Do(ctx, c, 200, 400, 403, 404, 405, 501)
		switch {
		case err != nil:
			return nil, err
		case a.Status != http.StatusOK && len(asked) == 0:
			if code, _ := a.Problem(); code == "" && a.Status == http.StatusNotFound {
				r.taught.learn(noReferrers) // the registry does not know the path; an unknown repository has a code
			}
			return r.referrersByTag(ctx, d)
		case a.Status != http.StatusOK:
			return nil, r.Host.Refusal(c, a)
		case a.Over:
			return nil, c.Fault(fault.TooLarge, "", fmt.Errorf("the list is longer than %d bytes", oci.MaxDocument))
		}
		doc, err := oci.Parse(oci.Descriptor{MediaType: oci.TypeIndex}, a.Raw)
		if err != nil {
			return nil, c.Named(err)
		}
		all = append(all, doc.Documents...)
		if len(all) > maxReferrers {
			return nil, c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d referrers", maxReferrers))
		}
		link := wire.NextLink(a.Header)
		if link == "" {
			return all, nil
		}
		origin, err := r.Host.Origin(ctx)
		if err != nil {
			return nil, err
		}
		next, err := r.Host.Located(origin, a.Asked, link)
		if err != nil || !wire.SameOrigin(next, origin) || asked[next.String()] {
			return nil, c.Fault(fault.Refused, "",
				errors.New("the link to the next page leads to another host or to a page that was read before"))
		}
		asked[next.String()] = true
		c.URL = next
	}
}

// referrersByTag reads the referrers tag: the digest of d with "-" in place of ":".
func (r *Reader) referrersByTag(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	doc, err := r.document(ctx, "list referrers of", strings.Replace(string(d.Digest), ":", "-", 1))
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return doc.Documents, nil
}
