package wire

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
)

// dray requests the content coding identity, but Content-Encoding may be left over from the upload
// to an object store, or name what is no content coding: "aws-chunked", "utf-8". And some proxies
// compress whatever they forward. So the header proves nothing, and the bytes decide.

// UnknownCoding returns an error for a body in a coding that dray did not request and cannot decode.
func (c *Call) UnknownCoding(coding string) error {
	return c.Fault(fault.Refused, reason.CodingHint,
		fmt.Errorf("the answer is compressed with %s, although no compression was requested", coding))
}

// unpacked returns the text in the body of an answer that is a document and no blob. No JSON begins
// with the first bytes of a compressed body, so these decide and not the header. A web page that
// cannot be decoded is returned as it is, because reason.IsMarkup recognizes it by its type.
func (c *Call) unpacked(body io.Reader, status int, h http.Header) (io.Reader, error) {
	coding, buffered := reason.Coding(h), bufio.NewReader(body)
	head, err := buffered.Peek(2)
	if err != nil {
		return buffered, nil // the reader of the body gets the error
	}
	unknown := status < 300 && coding != "" && !reason.IsHTML(h) &&
		!bytes.ContainsAny(head[:1], "{[<\" \r\n\t\xef")
	if isGzip(head) || isZlib(head) && coding == "deflate" || unknown {
		return c.decoded(buffered, coding, fault.Refused)
	}
	return buffered, nil
}

// Decoded returns the bytes of a blob that body holds in coding. A body that does not begin as gzip or deflate
// requires is returned as it is.
func (c *Call) Decoded(body io.Reader, coding string) (io.Reader, error) {
	return c.decoded(body, coding, fault.Unavailable)
}

// decoded is Decoded for any body. bad is the kind of error: another attempt gets the same bytes of a document.
func (c *Call) decoded(body io.Reader, coding string, bad fault.Kind) (io.Reader, error) {
	buffered := bufio.NewReader(body)
	head, _ := buffered.Peek(2) // the reader of the body gets the error
	var (
		plain io.Reader
		err   error
	)
	switch {
	case isGzip(head):
		coding = "gzip"
		plain, err = gzip.NewReader(buffered)
	case isZlib(head) && coding == "deflate":
		plain, err = zlib.NewReader(buffered)
	case coding == "gzip" || coding == "deflate":
		return buffered, nil
	default:
		return nil, c.UnknownCoding(coding)
	}
	if err != nil {
		return nil, c.badCoding(bad, coding, err)
	}
	return &decoding{Reader: plain, call: c, coding: coding, bad: bad}, nil
}

// isGzip reports whether head begins a gzip stream (RFC 1952 §2.3.1).
func isGzip(head []byte) bool { return len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b }

// isZlib reports whether head begins a zlib stream, which HTTP calls deflate (RFC 1950 §2.2).
func isZlib(head []byte) bool {
	return len(head) > 1 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0
}

// decoding gives the errors of a decoder the type *fault.Fault.
type decoding struct {
	io.Reader
	call   *Call
	coding string
	bad    fault.Kind
}

func (d *decoding) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = d.call.badCoding(d.bad, d.coding, err)
	}
	return n, err
}

// badCoding returns the error of a body that cannot be decoded. If the connection caused it, that is the error.
func (c *Call) badCoding(bad fault.Kind, coding string, err error) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err
	}
	return c.Fault(bad, reason.CodingHint, reason.BadCoding(coding, err))
}
