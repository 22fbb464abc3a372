package storm

import (
	"net/http"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
)

// blobs has the faults of bytes of blobs that are read.
func blobs(p Place) []Case {
	at := func(f *hostile.Fault) *hostile.Fault { return f.At(p.Layer) }
	cut := func() *hostile.Fault { return at(hostile.CutBodyAt(Half)).Once() }
	const cutOff = "the registry wrote bytes that a cut connection did not deliver"
	return []Case{
		recovers(source, "a blob is reset before its first byte, once", at(hostile.CutBodyAt(0)).Once()),
		recovers(source, "a blob is reset after its first byte, once", at(hostile.CutBodyAt(1)).Once()).unequal(cutOff),
		recovers(source, "a blob is reset in its middle, once", cut()).unequal(cutOff).pair(),
		recovers(source, "a blob is reset before its last byte, once",
			at(hostile.CutBodyAt(Size-1)).Once()).unequal(cutOff),
		recovers(source, "a blob is reset after its last byte, once", at(hostile.CutBodyAt(Size)).Once()),
		recovers(source, "a blob is reset after each quarter", at(hostile.CutBodyAt(Size/4))).unequal(cutOff),
		recovers(source, "every blob is reset in its middle, twice", hostile.CutBodyAt(Half).Times(2)).unequal(cutOff),
		recovers(source, "a blob is reset and the range is ignored", hostile.IgnoreRange(), cut()).unequal(cutOff).pair(),
		recovers(source, "a blob is reset and the range is answered 416",
			hostile.RangeNotSatisfiable(), cut()).unequal(cutOff),
		recovers(source, "a blob is reset and the range is another one",
			hostile.WrongContentRange(), cut()).unequal(cutOff).pair(),
		recovers(source, "a blob is reset and the range is multipart", hostile.MultipartRange(), cut()).unequal(cutOff),
		recovers(source, "a blob is reset and the range is 503 twice", ranges(bare(503)).Times(2), cut()).unequal(cutOff),
		recovers(source, "a blob is reset and the range is 429, once",
			ranges(hostile.TooMany("3")).Once(), cut()).unequal(cutOff),
		recovers(source, "a blob is reset and the range is cut, once",
			ranges(hostile.CutBodyAt(10)).Once(), cut()).unequal(cutOff),
		recovers(source, "a blob is reset and the range has a flipped bit, once",
			ranges(hostile.FlipBit(10)).Once(), cut()).unequal(cutOff),
		recovers(source, "a blob is reset and the range has no Content-Range",
			ranges(hostile.Header("Content-Range", "")), cut()).unequal(cutOff),
		recovers(source, "a blob is reset and the range is 404, once", ranges(bare(404)).Once(), cut()).unequal(cutOff),
		fails(source, fault.Unavailable, "a blob is reset before its first byte, each time", at(hostile.CutBodyAt(0))),
		fails(source, fault.NotFound, "a blob is reset and is gone then",
			ranges(status(404, "BLOB_UNKNOWN")), cut()).unequal(cutOff),
		fails(source, fault.Denied, "a blob is reset and is denied then",
			ranges(status(403, "DENIED")), cut()).unequal(cutOff),

		recovers(source, "a blob ends early in good order, once", at(hostile.CleanEOFAt(Half)).Once()).pair(),
		recovers(source, "a blob is empty, once", at(hostile.CleanEOFAt(0)).Once()),
		recovers(source, "a blob lacks its last byte in good order, once", at(hostile.CleanEOFAt(Size-1)).Once()),
		fails(source, fault.Unavailable, "a blob is empty, each time", at(hostile.CleanEOFAt(0))),
		recovers(source, "a bit at the beginning of a blob is flipped, once", at(hostile.FlipBit(0)).Once()),
		recovers(source, "a bit in the middle of a blob is flipped, once", at(hostile.FlipBit(Half)).Once()).pair(),
		recovers(source, "the last bit of a blob is flipped, once", at(hostile.FlipBit(Size-1)).Once()),
		fails(source, fault.Corrupt, "the first bit of a blob is flipped, each time", at(hostile.FlipBit(0))).pair(),
		fails(source, fault.Corrupt, "the last bit of a blob is flipped, each time", at(hostile.FlipBit(Size-1))),
		recovers(source, "a blob is longer by a byte, once",
			at(hostile.LongerBody(1)).Once()).unequal("nothing of a body with a wrong length is read"),
		fails(source, fault.Corrupt, "a blob is longer by a byte, each time", at(hostile.LongerBody(1))),
		fails(source, fault.Corrupt, "a blob goes on and on",
			at(hostile.EndlessBody(1<<20))).unequal("nobody reads a body to its end that has none"),
		recovers(source, "a blob announces more than it has, once",
			at(hostile.ContentLengthMismatch(10)).Once()).unequal("nothing of a body with a wrong length is read"),
		recovers(source, "a blob announces less than it has, once",
			at(hostile.ContentLengthMismatch(-10)).Once()).unequal(cutOff),
		recovers(source, "a blob is compressed on its way",
			at(hostile.ContentEncoding("gzip"))).unequal("the end of a compressed body is not read"),
		recovers(source, "a blob says that it is compressed and is not", at(hostile.ContentEncoding("aws-chunked"))),

		recovers(source, "a blob stalls before its first byte, once", at(hostile.StallAt(0, 0)).Once()).unequal(cutOff),
		recovers(source, "a blob stalls in its middle, once", at(hostile.StallAt(Half, 0)).Once()).unequal(cutOff).pair(),
		recovers(source, "a blob stalls in its middle for 25 seconds", at(hostile.StallAt(Half, 25*time.Second)).Once()),
		recovers(source, "a blob stalls in its middle for an hour",
			at(hostile.StallAt(Half, time.Hour)).Once()).unequal(cutOff),
		recovers(source, "no answer to a blob, once", at(hostile.NoHeader(0).On(get, blob)).Once()).pair(),
		fails(source, fault.Unavailable, "no answer to a blob, each time", at(hostile.NoHeader(0).On(get, blob))),
		recovers(source, "a blob comes after 20 seconds", at(hostile.NoHeader(20*time.Second).On(get, blob))),
		recovers(source, "a blob trickles too slowly, once", at(hostile.Trickle(200)).Once()).unequal(cutOff),
		recovers(source, "a blob comes slowly, but fast enough", at(hostile.Trickle(4<<10))),
	}
}

// ranges makes f apply to blobs that are asked for from an offset.
func ranges(f *hostile.Fault) *hostile.Fault {
	return f.On(get, blob).When(func(r *http.Request) bool { return r.Header.Get("Range") != "" })
}

// answers has the wrong answers to blobs that are read.
func answers(p Place) []Case {
	on := func(f *hostile.Fault) *hostile.Fault { return f.On(get, blob) }
	at := func(f *hostile.Fault) *hostile.Fault { return f.On(get, blob).At(p.Layer) }
	return []Case{
		recovers(source, "503 three times to a blob", at(bare(503)).Times(3)).pair(),
		recovers(source, "500 once to each of two blobs", on(bare(500)).Times(2)),
		recovers(source, "502 with a web page to a blob, once", at(webpage(502)).Once()),
		recovers(source, "429 with seconds to a blob, once", at(hostile.TooMany("7")).Once()).pair(),
		recovers(source, "429 with a date to a blob, once", at(hostile.TooManyUntil(90*time.Second)).Once()),
		recovers(source, "503 with Retry-After: 0 to a blob, twice",
			at(hostile.Status(503, http.Header{"Retry-After": {"0"}}, "")).Times(2)),
		recovers(source, "the answer with a blob is lost, once", at(hostile.LoseAnswer()).Once()),
		recovers(source, "the connection closes without a word at a blob, once",
			at(hostile.Raw("")).Once()).repeated().pair(),
		recovers(source, "no HTTP in place of a blob, once", at(hostile.Raw("\x00\x01\x02garbage\r\n\r\n")).Once()),
		recovers(source, "a broken chunk in a blob, once",
			at(hostile.Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nXX\r\n")).Once()).
			unequal("the registry does not count what it sends beside HTTP"),
		recovers(source, "interim answers before a blob", at(hostile.Interim(102, 3))),
		recovers(source, "404 to a blob, once", at(bare(404)).Once()),
		recovers(source, "a blob redirects to itself, once", at(hostile.RedirectSelf(307)).Once()),
		fails(source, fault.NotFound, "404 to a blob, each time", status(404, "BLOB_UNKNOWN").On("", blob).At(p.Layer)),
		fails(source, fault.Unavailable, "503 to each blob", on(bare(503))),
		fails(source, fault.Unavailable, "no HTTP in place of each blob", on(hostile.Raw("220 mail.example ESMTP\r\n"))),
		fails(source, fault.Throttled, "429 to each blob that asks for an hour", on(hostile.TooMany("3600"))),
		fails(source, fault.Refused, "400 to each blob", on(status(400, "UNSUPPORTED"))),
		fails(source, fault.Refused, "501 to each blob", on(bare(501))),
		fails(source, fault.Refused, "a web page in place of a blob", at(webpage(200))),
		fails(source, fault.Refused, "a blob redirects without end", at(hostile.RedirectSelf(307))),
		fails(source, fault.Refused, "a blob redirects to an address with a user",
			at(hostile.RedirectTo("http://me:too@"+elsewhere+"/b", 307))),
		fails(source, fault.Refused, "a blob redirects to a file", at(hostile.RedirectTo("file:///etc/passwd", 307))),
		fails(source, fault.Refused, "a blob redirects without a Location", at(bare(307))),
		fails(source, fault.Refused, "a blob redirects to a host that does not have it",
			at(hostile.RedirectTo("http://"+elsewhere+"/b", 307))),
		fails(source, fault.Corrupt, "another blob in place of a blob",
			at(hostile.Edit(func(string) string { return "hello" }))),
		fails(source, fault.Refused, "204 to a blob", at(bare(204))),
	}
}
