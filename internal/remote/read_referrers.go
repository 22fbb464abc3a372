package remote

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// maxReferrers is how many referrers of one document are listed.
const maxReferrers = 10_000

// Referrers lists the documents whose subject is d, by the referrers API or,
// where the registry has none, by the tag that stands in for it
// (distribution-spec v1.1.1 §Listing Referrers, §Backwards Compatibility).
func (r *reader) Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	c := r.call("list referrers of", http.MethodGet, "/referrers/"+string(d.Digest), r.blobName(d))
	if err := c.checked(string(d.Digest)); err != nil {
		return nil, err
	}
	if r.taught.has(noReferrers) {
		return r.referrersByTag(ctx, d)
	}
	c.header, c.limit = http.Header{"Accept": {oci.TypeIndex}}, oci.MaxDocument
	var all []oci.Descriptor
	asked := map[string]bool{}
	for {
		a, err := r.host.do(ctx, c, 200, 400, 403, 404, 405, 501)
		switch {
		case err != nil:
			return nil, err
		case a.status != http.StatusOK && len(asked) == 0:
			if code, _ := a.problem(); code == "" && a.status == http.StatusNotFound {
				r.taught.learn(noReferrers) // the path, not the repository, is unknown
			}
			return r.referrersByTag(ctx, d)
		case a.status != http.StatusOK:
			return nil, r.host.refusal(c, a)
		case a.over:
			return nil, c.fault(fault.TooLarge, "", fmt.Errorf("longer than %d bytes", oci.MaxDocument))
		}
		doc, err := oci.Parse(oci.Descriptor{MediaType: oci.TypeIndex}, a.raw)
		if err != nil {
			return nil, c.named(err)
		}
		all = append(all, doc.Documents...)
		if len(all) > maxReferrers {
			return nil, c.fault(fault.TooLarge, "", fmt.Errorf("more than %d referrers", maxReferrers))
		}
		link := nextLink(a.header)
		if link == "" {
			return all, nil
		}
		origin, err := r.host.origin(ctx)
		if err != nil {
			return nil, err
		}
		next, err := r.host.located(origin, a.asked, link)
		if err != nil || !sameOrigin(next, origin) || asked[next.String()] {
			return nil, c.fault(fault.Refused, "", fmt.Errorf("the next page is on another host or was seen before"))
		}
		asked[next.String()] = true
		c.url = next
	}
}

func (r *reader) referrersByTag(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	doc, err := r.document(ctx, "list referrers of", strings.Replace(string(d.Digest), ":", "-", 1))
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return doc.Documents, nil
}
