package read

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/link"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

const (
	maxReferrers     = 10_000   // referrers of one document that are listed
	maxReferrerBytes = 32 << 20 // bytes of all pages of such a list
	maxEmptyPages    = 3        // successive pages without a new referrer that are tolerated
)

// Referrers lists the documents whose subject is d. It uses the referrers API or, if the registry
// does not have it, the referrers tag (distribution-spec v1.1.1 §Listing Referrers, §Backwards
// Compatibility). It believes an answer only if it is a list of referrers, see unlisted.
//
// The error is Denied if the API says that the login may not ask, and the tag is not there: then nobody knows what
// refers to d.
//
// Only if a registry that has mirrors cannot be asked does a mirror answer, as for tags.
func (r *Reader) Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	if len(r.mirrors) == 0 {
		return r.referrers(ctx, d)
	}
	out := &r.taught.outage
	cause := out.holds()
	if cause == nil {
		begin := time.Now()
		list, err := r.referrers(ctx, d)
		if ctx.Err() != nil || !r.unreached(begin, err) {
			return list, err
		}
		cause = out.begin(err)
	}
	for _, m := range r.mirrors {
		if list, err := m.referrers(ctx, d); err == nil {
			return list, nil
		}
	}
	return nil, cause
}

// referrers is Referrers without mirrors.
func (r *Reader) referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	list, answered, err := r.askAPI(ctx, d)
	if err != nil || answered.has && !r.hasList(d) {
		return list, err
	}
	tagged, err := r.referrersByTag(ctx, d)
	if err == nil && len(tagged) == 0 && answered.denied != nil {
		return nil, answered.denied
	}
	for _, t := range tagged {
		if !slices.ContainsFunc(list, func(l oci.Descriptor) bool { return l.Digest == t.Digest }) {
			list = append(list, t)
		}
	}
	return list, err
}

// hasList reports whether the tags were listed, and the referrers tag of d is among them. A registry that got the
// API later must answer with what this tag lists (distribution-spec v1.1.1 §Enabling the Referrers API), and not all
// do.
func (r *Reader) hasList(d oci.Descriptor) bool {
	all := r.listed.Load()
	return all != nil && (*all)[oci.FallbackTag(d.Digest)]
}

// ReferrersByAPI is Referrers without the referrers tag. has is false if the registry does not have the
// API, or does not have it for d.
func (r *Reader) ReferrersByAPI(ctx context.Context, d oci.Descriptor) (list []oci.Descriptor, has bool, err error) {
	list, a, err := r.askAPI(ctx, d)
	return list, a.has, err
}

// askAPI asks the API, unless it is known that the registry does not have it.
func (r *Reader) askAPI(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, api, error) {
	c, err := r.referrersCall(d)
	if err != nil || r.taught.has(noReferrers) {
		return nil, api{}, err
	}
	list, a, err := r.referrersByAPI(ctx, c, d)
	if a.lacks {
		r.taught.learn(noReferrers)
	}
	return list, a, err
}

// HasReferrers asks whether the registry has the referrers API, and judges its answer as Referrers
// does. known is false if the answer does not tell.
func (r *Reader) HasReferrers(ctx context.Context, d oci.Descriptor) (has, known bool, err error) {
	c, err := r.referrersCall(d)
	if err != nil {
		return false, false, err
	}
	_, a, err := r.referrersByAPI(ctx, c, d)
	return a.has, err == nil && !a.open, err
}

func (r *Reader) referrersCall(d oci.Descriptor) (*wire.Call, error) {
	c := r.Call("list referrers of", http.MethodGet, "/referrers/"+string(d.Digest), r.BlobName(d))
	c.Header, c.Limit = http.Header{"Accept": {oci.TypeIndex}}, oci.MaxDocument
	return c, c.Checked(string(d.Digest))
}

// api says how the referrers API answered. The zero value means: with something else than a list of
// referrers, such as a web page.
type api struct {
	has   bool
	lacks bool // the registry does not have it, for whatever document
	open  bool // the answer does not tell

	denied error // the login may not ask, or the registry answers so to what it does not have
}

// refusal returns what a refusal says about the API.
func (r *Reader) refusal(c *wire.Call, a *wire.Answer) api {
	code, _ := a.Problem()
	unknown := a.Status == http.StatusNotFound && (code == "" || a.Says("UNSUPPORTED"))
	var denied error
	if a.Status == http.StatusForbidden || a.Status == http.StatusUnauthorized {
		denied = r.Host.Refusal(c, a)
	}
	return api{
		denied: denied,
		lacks:  !a.Away && (unknown || a.Status == http.StatusMethodNotAllowed || a.Status == http.StatusNotImplemented),
		open: a.Status == http.StatusNotFound && a.Says("NAME_UNKNOWN") ||
			a.Status == http.StatusForbidden || a.Status == http.StatusUnauthorized || a.Status == http.StatusBadRequest,
	}
}

// referrersByAPI lists the referrers of d by the API. The list means nothing if the API is not
// there.
func (r *Reader) referrersByAPI(ctx context.Context, c *wire.Call, d oci.Descriptor) ([]oci.Descriptor, api, error) {
	got := referrers{seen: map[oci.Digest]bool{}}
	asked := map[string]bool{}
	c.Room = r.Host.Options.Room.Open()
	defer c.Room.Close()
	for {
		a, err := r.Host.Do(ctx, c, 200, 400, 401, 403, 404, 405, 501) // 401: of another host, after a redirect
		first := len(asked) == 0
		switch {
		case first && fault.Is(err, fault.Refused):
			return nil, api{}, nil // a web page, or a redirect that must not be followed
		case first && fault.Is(err, fault.Denied):
			return nil, api{denied: err, open: true}, nil
		case err != nil:
			return nil, api{}, err
		case a.Status != http.StatusOK && first:
			return nil, r.refusal(c, a), nil
		case a.Status != http.StatusOK:
			return nil, api{}, r.Host.Refusal(c, a)
		case first && unlisted(a, d):
			return nil, api{}, nil
		case unlisted(a, d):
			return nil, api{}, c.Fault(fault.Refused, "", errors.New("a further page of the list is no index"))
		case a.Over:
			return nil, api{}, c.Fault(fault.TooLarge, "", fmt.Errorf("the list is longer than %d bytes", oci.MaxDocument))
		}
		doc, err := oci.Parse(oci.Descriptor{MediaType: oci.TypeIndex}, a.Raw)
		if err != nil {
			return nil, api{}, c.Named(err)
		}
		if err := got.add(r, c, d, doc); err != nil {
			return nil, api{}, err
		}
		next, err := r.nextReferrers(ctx, c, a, asked)
		if err != nil {
			return nil, api{}, err
		}
		if next == nil {
			c.Room.Close() // foreign needs room, too
			others, err := r.foreign(ctx, d, got.all)
			return others, api{has: len(got.all) == 0 || len(others) > 0}, err
		}
		c = next
	}
}

// referrers is what the pages of a list have told so far.
type referrers struct {
	all   []oci.Descriptor // each once
	seen  map[oci.Digest]bool
	bytes int // of all pages
	empty int // successive pages without a new referrer
}

// add adds a page, the answer to c. The error says which limit the list of d is beyond.
func (l *referrers) add(r *Reader, c *wire.Call, d oci.Descriptor, page oci.Document) error {
	l.bytes += len(page.Raw)
	l.empty++
	for _, of := range page.Documents {
		if !l.seen[of.Digest] {
			l.seen[of.Digest] = true
			l.all = append(l.all, of)
			l.empty = 0
		}
	}
	switch {
	case len(l.all) > maxReferrers:
		return r.tooMany(d, fmt.Errorf("more than %d referrers", maxReferrers))
	case l.bytes > maxReferrerBytes:
		return r.tooMany(d, fmt.Errorf("the list of referrers is longer than %d MiB", maxReferrerBytes>>20))
	case l.empty > maxEmptyPages:
		return c.Fault(fault.Refused, "check what answers there: a proxy may cut off the query of a request; "+
			"or leave the referrers out with --referrers=false", errors.New("the list of referrers repeats itself"))
	}
	return nil
}

// tooMany returns the error of a document whose list of referrers is beyond a limit.
func (r *Reader) tooMany(d oci.Descriptor, err error) error {
	return &fault.Fault{Kind: fault.TooLarge, Op: "list referrers of", Name: r.BlobName(d),
		Hint: "remove referrers that nobody needs any more, or leave them out with --referrers=false",
		Err:  err}
}

// nextReferrers returns the request for the page after a, or nil if there is none.
func (r *Reader) nextReferrers(
	ctx context.Context, c *wire.Call, a *wire.Answer, asked map[string]bool,
) (*wire.Call, error) {
	link := link.Next(a.Header)
	if link == "" {
		return nil, nil
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
	following := *c
	following.URL = next
	return &following, nil
}

// unlisted reports whether a 200 is no list of referrers of d. A list of referrers is an index by
// its Content-Type and by its body (distribution-spec v1.1.1 §Listing Referrers), and it is not d
// itself.
func unlisted(a *wire.Answer, d oci.Descriptor) bool {
	if oci.MediaType(a.Header.Get("Content-Type")) != oci.TypeIndex {
		return true
	}
	var body map[string]json.RawMessage
	if json.Unmarshal(a.Raw, &body) != nil {
		return false // it is broken, or too long
	}
	own, _ := strconv.Unquote(string(body["mediaType"]))
	return body["manifests"] == nil || own != "" && !strings.EqualFold(own, oci.TypeIndex) || oci.Sum(a.Raw) == d.Digest
}

// referrersByTag reads the referrers tag. GitLab takes this tag for the digest, and answers with d
// itself.
func (r *Reader) referrersByTag(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	tag := oci.FallbackTag(d.Digest)
	if all := r.listed.Load(); all != nil && !(*all)[tag] {
		return nil, nil
	}
	if r.Host.Pulls != nil { // a GET of a tag that is not there may count as a pull
		if _, err := r.straight(ctx, tag); fault.Is(err, fault.NotFound) {
			return nil, nil
		}
	}
	doc, err := r.document(ctx, "list referrers of", tag)
	switch {
	case fault.Is(err, fault.NotFound), reason.IsPage(err):
		return nil, nil
	case err != nil:
		return nil, err
	case doc.MediaType != oci.TypeIndex, doc.Digest == d.Digest:
		return nil, nil
	case len(doc.Documents) > maxReferrers:
		return nil, r.tooMany(d, fmt.Errorf("more than %d referrers", maxReferrers))
	}
	return r.foreign(ctx, d, doc.Documents)
}

// foreign returns those of list that are neither d nor a child of d. Neither can refer to d, because
// the digest of d is computed from theirs: such a list is not one of referrers. foreign reads d
// unless d cannot have children. If d is not there, or is broken, all of list is believed.
func (r *Reader) foreign(ctx context.Context, d oci.Descriptor, list []oci.Descriptor) ([]oci.Descriptor, error) {
	own := map[oci.Digest]bool{d.Digest: true}
	if len(list) > 0 && d.MediaType != oci.TypeManifest && d.MediaType != oci.TypeDockerManifest {
		doc, err := r.Document(ctx, string(d.Digest))
		if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.Refused) {
			return nil, err
		}
		for _, child := range doc.Documents {
			own[child.Digest] = true
		}
	}
	return slices.DeleteFunc(list, func(l oci.Descriptor) bool { return own[l.Digest] }), nil
}
