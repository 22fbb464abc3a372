package push

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// hintLong is the next step for an image whose digests are not of sha256.
const hintLong = "copy it to an OCI image layout, or to zot with kind: zot in the configuration, " +
	"or build the image with sha256"

// Keeps implements transfer.Target. distribution-spec v1.1.1 §Pushing Manifests has no way to say by
// which digest a tag is to be known, so registries choose sha256 for it. Most accept no manifest by
// another digest either. Some of them find that out after all layers have arrived. Blobs may have
// other digests.
func (r *Pusher) Keeps(docs, _ []oci.Descriptor) error {
	for _, d := range docs {
		if !r.keeps(d) {
			c := r.Call("put manifest", http.MethodPut, "", r.At(string(d.Digest)))
			return c.Fault(fault.Refused, hintLong, errors.New("the registry would give this manifest "+
				"a digest of sha256 in place of this one"))
		}
	}
	return nil
}

func (r *Pusher) keeps(d oci.Descriptor) bool {
	return d.Digest.Algorithm() == digest.SHA256 || r.Host.Dialect.TagQuery
}

// PutDocument stores doc under each of tags, or by digest if there are none (distribution-spec
// v1.1.1 §Pushing Manifests). It returns when the registry has confirmed doc's digest for each. It
// puts the first tag alone and the others concurrently. The error is NotFound if the registry lacks
// content that doc refers to, and Conflict if a tag points to something else and may not be moved.
func (r *Pusher) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	p := &commit{r: r, doc: doc}
	if err := p.verify(); err != nil {
		return oci.Accepted{}, err
	}
	defer p.filled()
	long := doc.Digest.Algorithm() != digest.SHA256
	if len(tags) > 0 && long || len(tags) > 2 && r.Host.Dialect.TagQuery {
		tags = p.together(ctx, tags)
		switch {
		case len(tags) == 0:
			return p.accepted, nil
		case long: // put under the tag alone, the document would get another digest
			return p.leave(ctx, tags)
		}
	}
	first := string(doc.Digest)
	if len(tags) > 0 {
		first, tags = tags[0], tags[1:]
	}
	if err := p.one(ctx, first); err != nil {
		if len(tags) == 0 && len(p.accepted.Tags) == 0 || !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Denied) {
			return p.accepted, err
		}
	}
	var wg sync.WaitGroup
	for _, tag := range tags {
		wg.Go(func() { _ = p.one(ctx, tag) }) // its error is in accepted.Failed
	}
	wg.Wait()
	slices.Sort(p.accepted.Tags)
	if len(p.accepted.Tags) == 0 && len(p.accepted.Failed) > 0 {
		return p.accepted, p.accepted.Failed[first]
	}
	return p.accepted, nil
}

// leave gives up the tags that the registry did not confirm for a digest that is not of sha256.
func (p *commit) leave(ctx context.Context, tags []string) (oci.Accepted, error) {
	if err := p.one(ctx, string(p.doc.Digest)); err != nil {
		return p.accepted, err // the document itself is refused
	}
	for _, tag := range tags {
		if p.accepted.Failed == nil {
			p.accepted.Failed = map[string]error{}
		}
		p.accepted.Failed[tag] = p.call(tag).Fault(fault.Refused, hintLong,
			fmt.Errorf("the registry does not set a tag to %s", p.doc.Digest))
	}
	if len(p.accepted.Tags) == 0 {
		return p.accepted, p.accepted.Failed[tags[0]]
	}
	return p.accepted, nil
}

// commit is one document that is being stored under its tags.
type commit struct {
	r   *Pusher
	doc oci.Document

	mu       sync.Mutex
	accepted oci.Accepted
}

// verify checks the bytes against their digest, because a registry would accept any bytes under a
// tag.
func (p *commit) verify() error {
	v, err := oci.NewVerifier(p.doc.Descriptor)
	if err == nil {
		_, err = v.Write(p.doc.Raw)
	}
	if err == nil {
		err = v.Verify()
	}
	if err != nil {
		return p.call(string(p.doc.Digest)).Named(err)
	}
	return nil
}

// one puts the document under one reference and records the result.
func (p *commit) one(ctx context.Context, reference string) error {
	var subject oci.Digest
	err := p.checked(reference)
	if err == nil {
		subject, err = p.put(ctx, reference)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	isTag := ref.Digest(reference) != nil
	switch {
	case err != nil && isTag:
		if p.accepted.Failed == nil {
			p.accepted.Failed = map[string]error{}
		}
		p.accepted.Failed[reference] = err
	case err == nil && isTag:
		p.accepted.Tags = append(p.accepted.Tags, reference)
	}
	if subject != "" {
		p.accepted.Subject = subject
	}
	return err
}

// checked returns an error if reference is neither a tag nor a digest.
func (p *commit) checked(reference string) error {
	if ref.Digest(reference) == nil {
		return nil
	}
	if err := ref.Tag(reference); err != nil {
		return p.call(reference).Named(err)
	}
	return nil
}

// put repeats the request until it is answered. It may do so because putting the same bytes under
// the same name twice changes nothing.
func (p *commit) put(ctx context.Context, reference string) (subject oci.Digest, err error) {
	h := p.r.Host
	c := p.call(reference)
	b := h.Budget(c)
	ok := []int{200, 201, 202, 204, 400, 403, 404, 405, 409, 412, 415, 501}
	if len(p.doc.Foreign) > 0 {
		ok = append(ok, http.StatusInternalServerError)
	}
	for again, unknown := false, false; ; {
		a, err := h.Do(ctx, c, ok...)
		if err == nil && a.Status == http.StatusInternalServerError {
			err = p.failed(c, a, unknown)
			unknown = true
		}
		switch {
		case err == nil && a.Status < 300:
			return oci.Digest(reason.Clean(a.Header.Get("OCI-Subject"))), p.confirm(ctx, c, a, reference)
		case err == nil && !again && isRace(a, reference):
			again = true
			c.Observe.Tell(event.Event{
				Kind: event.Retried,
				Host: h.Name,
				Name: c.Name,
				Wait: raceWait,
				Err:  h.Refusal(c, a),
			})
			if err := limit.Sleep(ctx, raceWait); err != nil {
				return "", c.Stopped(ctx, err)
			}
			continue
		case err == nil:
			return "", p.refused(ctx, c, a, reference)
		case !ask.Passing(err), p.r.Single:
			return "", err
		}
		if fault.Is(err, fault.Unavailable) && p.holds(ctx, reference) {
			return "", nil // only the answer was lost
		}
		if err := b.Wait(ctx, err); err != nil {
			return "", c.Named(err)
		}
	}
}

// failed returns the error of a 500 to a manifest with foreign layers. Distribution refuses layers by
// URL with a 500. Its version 3 says so in the body; version 2 answers UNKNOWN, which is believed the
// second time.
func (p *commit) failed(c *wire.Call, a *wire.Answer, again bool) error {
	err := p.r.Host.Refusal(c, a)
	_, text := a.Problem()
	if !strings.Contains(text, "URL on layer") && (!again || !a.Says("UNKNOWN")) {
		return c.Named(err)
	}
	return c.Fault(fault.Invalid, "allow the URLs of these layers at the registry "+
		"(distribution: validation.manifests.urls.allow), or copy the image to another registry",
		fmt.Errorf("this registry takes no layers by URL, and the image has %d: %w", len(p.doc.Foreign), reason.CauseOf(err)))
}

// isRace reports whether a race explains a refusal, so that it is worth one more request. Another
// client may put the same document at this moment: docker-registry 2.8.2 then answers that the
// digest is wrong and that content is missing. The digest was verified before, and a document that
// is put by its digest conflicts with nothing.
func isRace(a *wire.Answer, reference string) bool {
	return a.Status == http.StatusBadRequest && a.Says("DIGEST_INVALID") ||
		a.Status == http.StatusConflict && ref.Digest(reference) == nil
}

func (p *commit) call(reference string) *wire.Call {
	c := p.r.Call("put manifest", http.MethodPut, "/manifests/"+reference, p.r.At(reference))
	c.Header = http.Header{"Content-Type": {p.doc.MediaType}}
	c.Single, c.Size = true, int64(len(p.doc.Raw))
	c.Body = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.doc.Raw)), nil }
	return c
}

// holds reports whether the registry has this document under reference.
func (p *commit) holds(ctx context.Context, reference string) bool {
	d, err := p.r.read.Straight(ctx, reference)
	return err == nil && d.Digest == p.doc.Digest
}

// confirm checks the digest in the answer. If the answer has none, it resolves the reference.
func (p *commit) confirm(ctx context.Context, c *wire.Call, a *wire.Answer, reference string) error {
	if a.Header.Get("Docker-Content-Digest") == string(p.doc.Digest) {
		return nil
	}
	d, err := p.r.read.Straight(ctx, reference)
	switch {
	case fault.Is(err, fault.NotFound):
		return fault.On(fault.Target, c.Fault(fault.Corrupt, damageHint,
			fmt.Errorf("the registry confirmed the manifest with %d, but does not have it", a.Status)))
	case err != nil:
		return c.Named(fmt.Errorf("read back: %w", err))
	case d.Digest != p.doc.Digest:
		return fault.On(fault.Target, c.Fault(fault.Corrupt, damageHint,
			fmt.Errorf("the registry accepted %s but returns %s", p.doc.Digest, d.Digest)))
	}
	return nil
}

// refused turns a refusal into an error, or into success if the tag already points to the document.
func (p *commit) refused(ctx context.Context, c *wire.Call, a *wire.Answer, reference string) error {
	code, text := a.Problem()
	err := p.r.Host.Refusal(c, a)
	switch {
	case a.Says("MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"):
		p.r.known.disown(p.doc.Blobs)
		return c.Fault(fault.NotFound, "", fmt.Errorf("the target lacks content that the manifest refers to: %w", err))
	case p.refusesSubject(a, reference):
		return c.Fault(fault.Refused,
			"copy the image to a registry that takes them, or leave referrers out with --referrers=false",
			fmt.Errorf("this registry takes no referrer of this form (%s, of %s): %w",
				cmp.Or(p.doc.AsReferrer().ArtifactType, p.doc.MediaType), p.doc.Subject.Digest, reason.CauseOf(err)))
	case ref.Digest(reference) == nil:
		return err
	case immutable(a.Status, code, text):
		if p.holds(ctx, reference) {
			return nil
		}
		return c.Fault(fault.Conflict, "use another tag, or unlock this one",
			fmt.Errorf("the tag is immutable or locked: %w", err))
	case a.Status == http.StatusMethodNotAllowed && !readOnly(code, text):
		if p.holds(ctx, reference) {
			return nil
		}
		return c.Fault(fault.Conflict, "use another tag or unlock this one, or let the registry accept writes",
			fmt.Errorf("the tag is immutable or locked, or the registry is read-only: %w", err))
	}
	return err
}

// refusesSubject reports whether a refusal is about a manifest with a subject. ECR answers 405 UNSUPPORTED
// to some of them ("Invalid JSON syntax"), and registries that are older than subjects answer 400.
func (p *commit) refusesSubject(a *wire.Answer, reference string) bool {
	if !p.doc.HasListedSubject() {
		return false
	}
	code, text := a.Problem()
	said := a.Says("UNSUPPORTED", "MANIFEST_INVALID")
	switch a.Status {
	case http.StatusBadRequest:
		return said
	case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return said || ref.Digest(reference) == nil && !readOnly(code, text)
	}
	return false
}

// readOnly reports whether the words of a refusal say that the whole registry or repository takes no writes.
func readOnly(code, text string) bool {
	words := strings.ToLower(code + " " + text)
	return slices.ContainsFunc([]string{"read-only", "read only", "readonly", "maintenance"},
		func(word string) bool { return strings.Contains(words, word) })
}

// immutable reports whether an answer refuses to move a tag. Harbor answers 412, Quay and Artifact
// Registry 409 or 400, and ECR 400 TAG_INVALID. ACR answers 405 for a locked tag, as others do for a registry that
// takes no writes, so that 405 counts only with words that say so.
func immutable(status int, code, text string) bool {
	switch status {
	case http.StatusConflict, http.StatusPreconditionFailed:
		return true
	}
	words := strings.ToLower(code + " " + text)
	return strings.Contains(words, "tag_invalid") || strings.Contains(words, "immutable") ||
		strings.Contains(words, "locked") || strings.Contains(words, "already exists")
}

// maxTagQuery is the number of tags in one PUT. Registries accept at least ten.
const maxTagQuery = 10

// together puts the document by digest with up to ten tags at once, as the distribution-spec after
// v1.1.1 defines it (end-7b). It returns the tags that the registry did not name in OCI-Tag.
func (p *commit) together(ctx context.Context, tags []string) (left []string) {
	for some := range slices.Chunk(tags, maxTagQuery) {
		c := p.call(string(p.doc.Digest))
		c.Query = "tag=" + strings.Join(some, "&tag=")
		a, err := p.r.Host.Do(ctx, c, http.StatusCreated)
		if err != nil || p.confirm(ctx, c, a, string(p.doc.Digest)) != nil {
			left = append(left, some...)
			continue
		}
		said := strings.Join(a.Header.Values("OCI-Tag"), ",")
		set := strings.FieldsFunc(said, func(r rune) bool { return r == ',' || r == ' ' })
		for _, tag := range some {
			if slices.Contains(set, tag) {
				p.accepted.Tags = append(p.accepted.Tags, tag)
			} else {
				left = append(left, tag)
			}
		}
		if s := a.Header.Get("OCI-Subject"); s != "" {
			p.accepted.Subject = oci.Digest(reason.Clean(s))
		}
	}
	return left
}

// filled removes the record that the repository is being filled, once the repository has a tag.
func (p *commit) filled() {
	k := &p.r.known
	k.mu.Lock()
	over := k.trail && len(p.accepted.Tags) > 0
	k.trail = k.trail && !over
	k.mu.Unlock()
	if over {
		p.r.dock.uploads.Filled(p.r.Repo)
	}
}
