package read

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

// Blob reads n bytes of d from offset at on; n < 0 reads to the end. If the registry does not
// support ranges, from is less than at: the body then begins at from and ends with the blob. A body
// that ends early fails with Unavailable, and a body that is longer than d fails with Corrupt. Blob
// does not verify the digest.
func (r *Reader) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error) {
	type opened struct {
		body io.ReadCloser
		from int64
	}
	o, err := firstOf(ctx, r, func(of *Reader) (o opened, err error) {
		o.body, o.from, err = of.blob(ctx, d, at, n)
		if err == nil && of != r {
			o.body = &mirrored{o.body, ctx, of}
		}
		return o, err
	})
	return o.body, o.from, err
}

func (r *Reader) blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	c := r.Call("read blob", http.MethodGet, "/blobs/"+string(d.Digest), r.BlobName(d))
	if err := c.Checked(string(d.Digest)); err != nil {
		return nil, 0, err
	}
	c.Lane = wire.Down
	end := d.Size
	if n >= 0 {
		end = min(end, at+n)
	}
	if at < 0 || at > d.Size {
		return nil, 0, c.Fault(fault.Invalid, "", fmt.Errorf("there is no byte %d in a blob of %d bytes", at, d.Size))
	}
	if at >= end && d.Size > 0 {
		// An empty range is never requested: docker-registry 2.8.2 cuts off the answer to a range
		// that begins at the end.
		return io.NopCloser(bytes.NewReader(nil)), at, nil
	}
	c.Small = end-at < limit.SmallBody
	body, from, err := r.opened(ctx, c, d, at, end)
	if fault.Is(err, fault.NotFound) && r.source {
		// A cache that fetches a blob first may answer 404 meanwhile.
		body, from, err = r.opened(ctx, c, d, at, end)
	}
	return body, from, incomplete(err)
}

// incomplete adds the next step to the error for a blob that the registry does not have, although a manifest
// of this registry lists it.
func incomplete(err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Kind != fault.NotFound || fault.HintOf(err) != "" {
		return err
	}
	hinted := *f
	hinted.Hint = "the image is incomplete at this registry: push it there again"
	return &hinted
}

// opened requests the bytes from at to end, or the whole blob if the registry has no ranges.
func (r *Reader) opened(
	ctx context.Context, c *wire.Call, d oci.Descriptor, at, end int64,
) (io.ReadCloser, int64, error) {
	if (at > 0 || end < d.Size) && !r.taught.has(noRanges) {
		body, err := r.ranged(ctx, c, d, at, end)
		if body != nil || err != nil {
			return body, at, err
		}
	}
	body, err := r.whole(ctx, c, d)
	return body, 0, err
}

// ranged requests the bytes from at to end. It returns nil and no error if the registry does not
// return this range. Only the answer itself shows that; the presence or absence of Accept-Ranges
// does not.
func (r *Reader) ranged(ctx context.Context, c *wire.Call, d oci.Descriptor, at, end int64) (io.ReadCloser, error) {
	ask := *c
	ask.Header = http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", at, end-1)}}
	if direct := r.storage.of(d.Digest); direct != nil {
		there := ask
		there.URL, there.Access, there.Single = direct, nil, true
		a, err := r.Host.Do(ctx, &there, 206)
		if err == nil && isRange(a, at, end, d.Size) {
			return &measured{body: a.Body, left: end - at, call: c}, nil
		}
		if err == nil {
			a.Close()
		}
		r.storage.forget(d.Digest, direct)
	}
	a, err := r.Host.Do(ctx, &ask, 200, 206, 416)
	if err != nil {
		return nil, err
	}
	switch {
	case isRange(a, at, end, d.Size):
	case a.IsPage() && a.Length != d.Size && d.MediaType != "text/html":
		a.Close()
		return nil, c.Page(a)
	default:
		a.Close()
		r.taught.learn(noRanges)
		return nil, nil
	}
	if a.Away {
		r.storage.keep(d.Digest, a.At)
	}
	return &measured{body: a.Body, left: end - at, call: c}, nil
}

// isRange reports whether the answer holds the bytes from at to end of a blob of the given size. A
// range with a coding is a range of the encoded blob, unless its length says that nothing is encoded.
func isRange(a *wire.Answer, at, end, size int64) bool {
	first, last, total, ok := parseContentRange(a.Header.Get("Content-Range"))
	return a.Status == 206 && ok && first == at && last == end-1 &&
		(total < 0 || total == size) && (a.Length == end-at || a.Length < 0 && reason.Coding(a.Header) == "")
}

// whole requests the whole blob. If the length of the answer is not that of d, it requests the blob
// once more, and then fails before the first byte.
func (r *Reader) whole(ctx context.Context, c *wire.Call, d oci.Descriptor) (io.ReadCloser, error) {
	var wrong error
	for range 2 {
		a, err := r.Host.Do(ctx, c, 200)
		if err != nil {
			return nil, err
		}
		if coding := reason.Coding(a.Header); coding != "" && a.Length != d.Size {
			return r.coded(c, d, a, coding)
		}
		if a.Length < 0 || a.Length == d.Size {
			m := &measured{body: a.Body, left: d.Size, call: c}
			if a.IsPage() {
				m.page = c.Page(a)
			}
			return m, nil
		}
		a.Raw, _ = io.ReadAll(io.LimitReader(a.Body, 512)) // enough to recognize a web page
		a.Close()
		if a.IsPage() {
			return nil, c.Page(a)
		}
		wrong = c.Fault(fault.Corrupt, "",
			fmt.Errorf("the registry has %d bytes, but the descriptor says %d", a.Length, d.Size))
	}
	return nil, wrong
}

// coded returns the body of an answer whose Content-Encoding names a compression and whose length is
// not that of d. Such a body is decoded. If its length is unknown, the header may be left over, and
// a compressed layer begins as a compressed body does. Then one of the two readings is tried, and
// the other one when the blob is read again because the bytes do not fit d.
func (r *Reader) coded(c *wire.Call, d oci.Descriptor, a *wire.Answer, coding string) (io.ReadCloser, error) {
	m := &measured{body: a.Body, left: d.Size, call: c}
	decodes := coding == "gzip" || coding == "deflate"
	switch {
	case !decodes && a.IsPage() && d.MediaType != "text/html":
		a.Close()
		return nil, c.Page(a)
	case a.Length < 0 && !decodes:
		m.coding = coding
		return m, nil
	case a.Length < 0:
		asIs := r.codings.asIs(d)
		m.wrong = func() { r.codings.misread(d, asIs) }
		if asIs {
			return m, nil
		}
	}
	plain, err := c.Decoded(a.Body, coding)
	if err != nil {
		a.Close()
		return nil, err
	}
	buffered := bufio.NewReader(plain)
	a.Raw, _ = buffered.Peek(512) // enough to recognize a web page; the reader of the body gets the error
	if a.IsPage() {
		m.page = c.Page(a)
	}
	m.body = struct {
		io.Reader
		io.Closer
	}{buffered, a.Body}
	return m, nil
}

// measured is a body of a known length.
type measured struct {
	body io.ReadCloser
	left int64
	call *wire.Call
	// coding is a compression that the body may have and that cannot be decoded, or "".
	coding string
	// page is the error if the body has another length than left and seems to be a web page.
	page error
	// wrong is called if the body has another length than left. It may be nil.
	wrong func()
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	m.left -= int64(n)
	longer, shorter := m.left < 0, err == io.EOF && m.left > 0
	if !longer && !shorter {
		return n, err
	}
	if m.wrong != nil {
		m.wrong()
		m.wrong = nil
	}
	n += int(min(m.left, 0))
	switch {
	case m.page != nil:
		return n, m.page
	case m.coding != "":
		return n, m.call.UnknownCoding(m.coding)
	case longer:
		return n, m.call.Fault(fault.Corrupt, "", errors.New("the body is longer than the descriptor says"))
	}
	return n, m.call.Fault(fault.Unavailable, "", fmt.Errorf("the body ended %d bytes early", m.left))
}

func (m *measured) Close() error { return m.body.Close() }

// Total returns the size in bytes that an answer to a GET of a blob, or of a part of it, tells. -1
// means that it does not tell.
func Total(a *wire.Answer) int64 {
	if a.Status != http.StatusPartialContent {
		return a.Length
	}
	if _, _, total, ok := parseContentRange(a.Header.Get("Content-Range")); ok {
		return total
	}
	return -1
}

// parseContentRange parses "bytes 0-9/10" (RFC 9110 §14.4). total is -1 for "*".
func parseContentRange(s string) (first, last, total int64, ok bool) {
	unit, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	span, size, found := strings.Cut(strings.TrimSpace(rest), "/")
	if !strings.EqualFold(unit, "bytes") || !found {
		return 0, 0, 0, false
	}
	if first, last, ok = ParseSpan(span); !ok {
		return 0, 0, 0, false
	}
	if size = strings.TrimSpace(size); size == "*" {
		return first, last, -1, true
	}
	total, err := strconv.ParseInt(size, 10, 64)
	return first, last, total, err == nil && total > last
}

// ParseSpan parses "0-9".
func ParseSpan(s string) (first, last int64, ok bool) {
	a, b, _ := strings.Cut(strings.TrimSpace(s), "-")
	first, err := strconv.ParseInt(strings.TrimSpace(a), 10, 64)
	if err != nil {
		return 0, 0, false
	}
	last, err = strconv.ParseInt(strings.TrimSpace(b), 10, 64)
	return first, last, err == nil && first >= 0 && last >= first
}
