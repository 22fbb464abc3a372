package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// maxListed is how many tags or manifests of one repository are listed.
const maxListed = 10 << 20

// List calls visit for each tag, in the registry's order, until visit returns
// an error, which List returns as it is. Names that are no tags and repeats are
// left out.
//
// Where the registry has a list of its own that tells digests, that is what is
// asked: one request for hundreds of tags. Which registries have one is known
// from Settings.Kind, from the host's name, or from what its answers show. When
// that list can not be had, the one of the distribution API is read instead,
// which mostly leaves the Digest "", and the host is not asked again; an event
// says so. Media types are told by ECR and Harbor only, sizes by nobody.
func (r *Repository) List(ctx context.Context, visit func(oci.Listed) error) error {
	s := &sieve{visit: visit, seen: map[string]bool{}, op: "list tags of", name: r.repo.String()}
	return r.inBulk(ctx, s.ended, func(ctx context.Context, b *bulk) (bool, error) {
		return b.tags(ctx, s.show)
	}, func(ctx context.Context) error { return r.listPlain(ctx, s, nil) })
}

var (
	errKnown    = errors.New("the rest is known")
	errUnsorted = errors.New("the list is not in the order of time")
)

// ListNewest is List for who knows all tags that were set before since: it returns the
// others, the newest first. sorted is false where the registry does not list by time, which
// Azure's does, or that list could not be had: List tells all then.
func (r *Repository) ListNewest(ctx context.Context, since time.Time) (tags []oci.Listed, sorted bool, err error) {
	if r.host.kind() != "acr" || !r.host.hasBulk() {
		return nil, false, nil
	}
	s := &sieve{seen: map[string]bool{}, op: "list tags of", name: r.repo.String(), visit: func(l oci.Listed) error {
		switch n := len(tags); {
		case l.Updated.IsZero(), n > 0 && l.Updated.After(tags[n-1].Updated):
			return errUnsorted
		case l.Updated.Before(since):
			return errKnown
		}
		tags = append(tags, l)
		return nil
	}}
	_, err = r.acrTags(ctx, "n=1000&orderby=timedesc", s.show)
	switch {
	case ctx.Err() != nil:
		return nil, false, err
	case err != nil && !errors.Is(err, errKnown):
		return nil, false, nil
	}
	return tags, true, nil
}

// ListsDigests reports whether List is expected to tell digests at host, from
// what is known of it so far, and whether a tag that is not listed is not there:
// the list of another service than the registry may lag behind it.
func (c *Client) ListsDigests(host string) (tells, complete bool) {
	name, err := ref.Host(host)
	if err != nil {
		return false, false
	}
	h := c.host(name)
	if !h.hasBulk() {
		tells = h.knows().digests
		return tells, tells
	}
	return true, !slices.Contains([]string{"hub", "ghcr"}, h.kind())
}

// inBulk reads a list in its bulk form, and falls back on the plain one. ended
// reports whether the visitor has had enough.
func (r *Repository) inBulk(ctx context.Context, ended func() error, ask func(context.Context, *bulk) (unknown bool, err error), plain func(context.Context) error) error {
	b := r.bulk()
	if b == nil {
		before := r.host.kind()
		err := plain(ctx)
		if !isLearned(err) {
			return err
		}
		if b = r.bulk(); b == nil || before == r.host.kind() {
			return r.call("list", http.MethodGet, "", r.repo.String()).fault(fault.Internal, "", err)
		}
	}
	unknown, err := ask(ctx, b)
	if stop := ended(); stop != nil {
		return stop
	}
	if err == nil || unknown || !b.dispensable(err) {
		return err
	}
	absent := fault.Is(err, fault.NotFound)
	if !absent {
		r.withoutBulk(b, err)
	}
	if plainErr := plain(ctx); plainErr != nil {
		return plainErr
	}
	if absent && !b.elsewhere {
		r.withoutBulk(b, err) // the repository is there: what is not is the list
	}
	return nil
}

// dispensable reports whether the plain list is worth a try after err.
func (b *bulk) dispensable(err error) bool {
	switch fault.KindOf(err) {
	case fault.Canceled:
		return false
	case fault.Unavailable, fault.Throttled:
		return b.elsewhere // the registry itself may do well
	}
	return true
}

// withoutBulk remembers that the host's own list can not be had, and says it once.
func (r *Repository) withoutBulk(b *bulk, err error) {
	news := false
	r.host.learn(func(l *learned) { news, l.noBulk = !l.noBulk, true })
	if news {
		r.observe.Tell(event.Event{Kind: event.Noted, Host: r.host.name, Name: r.repo.String(), Err: err,
			Text: fmt.Sprintf("%s can not be read, so tags of %s are listed without digests and asked for one by one: %v", b.name, r.host.name, err)})
	}
}

// sieve lets each valid tag through once.
type sieve struct {
	visit    func(oci.Listed) error
	seen     map[string]bool
	stop     error // what visit returned
	op, name string
}

func (s *sieve) ended() error { return s.stop }

// show visits what is new of rows.
func (s *sieve) show(rows []oci.Listed) (fresh int, err error) {
	for _, l := range rows {
		if ref.Tag(l.Tag) != nil || s.seen[l.Tag] {
			continue
		}
		if len(s.seen) == maxListed {
			return fresh, &fault.Fault{Kind: fault.TooLarge, Op: s.op, Name: s.name, Err: fmt.Errorf("more than %d tags", maxListed)}
		}
		s.seen[l.Tag] = true
		fresh++
		if s.stop = s.visit(l); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// errLearned ends a plain list whose first answer showed what kind of registry gives it.
type errLearned struct{}

func (errLearned) Error() string { return "the registry turned out to have a list of its own" }

func isLearned(err error) bool {
	_, is := err.(errLearned) //nolint:errorlint // never wrapped: it does not leave the package
	return is
}

// listPlain reads the list of the distribution API. gcr.io and Artifact
// Registry say in the same answer which digests the tags have; images, if not
// nil, is then shown them.
func (r *Repository) listPlain(ctx context.Context, s *sieve, images func([]Manifest) error) error {
	var told []Manifest
	digests := map[string]oci.Listed{}
	kind := r.host.kind()
	l := &list{host: r.host, key: "tags", call: r.call("list tags of", http.MethodGet, "/tags/list", r.repo.String()),
		valid: func(tag string) bool { return ref.Tag(tag) == nil }}
	l.begin = func() { told = nil; clear(digests) }
	l.also = func(member string, dec *json.Decoder) (err error) {
		if member != "manifest" {
			return skip(dec)
		}
		told, err = readMap(dec, l.call)
		return err
	}
	l.paged = func() error {
		for _, m := range told {
			for _, tag := range m.Tags {
				digests[tag] = oci.Listed{Tag: tag, Descriptor: oci.Descriptor{Digest: m.Digest}, Updated: m.Updated, Created: m.Created}
			}
		}
		switch {
		case len(told) > 0:
			r.host.learn(func(l *learned) { l.digests = true })
		case len(s.seen) == 0 && r.host.kind() != kind && r.bulk() != nil:
			return errLearned{}
		}
		if images != nil {
			return images(told)
		}
		return nil
	}
	l.visit = func(tag string) error {
		one, known := digests[tag]
		if !known {
			one.Tag = tag
		}
		_, err := s.show([]oci.Listed{one})
		return err
	}
	return l.run(ctx)
}

// readMap reads the map from digests to images of gcr.io's tags/list.
func readMap(dec *json.Decoder, c *call) ([]Manifest, error) {
	t, err := dec.Token()
	switch {
	case err != nil:
		return nil, notJSON(err)
	case t == json.Delim('['):
		return nil, leave(dec) // something else of the same name
	case t != json.Delim('{'):
		return nil, nil
	}
	var all []Manifest
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		var entry struct {
			MediaType string   `json:"mediaType"`
			Tags      []string `json:"tag"`
			Size      string   `json:"imageSizeBytes"`
			Created   string   `json:"timeCreatedMs"`
			Uploaded  string   `json:"timeUploadedMs"`
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, notJSON(err)
		}
		name, _ := t.(string)
		if json.Unmarshal(raw, &entry) != nil || digestOf(name) == "" {
			continue // an extension of somebody else's
		}
		if len(all) == maxNames {
			return nil, c.fault(fault.TooLarge, "", fmt.Errorf("more than %d manifests in a page", maxNames))
		}
		all = append(all, Manifest{Descriptor: oci.Descriptor{Digest: digestOf(name), MediaType: clean(entry.MediaType)},
			Tags: entry.Tags, Total: number(entry.Size), Created: moment(entry.Created), Updated: moment(entry.Uploaded)})
	}
	_, err = dec.Token()
	return all, err
}
