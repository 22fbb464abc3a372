package storm

import (
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
)

// uploads has the faults of requests that begin an upload or mount a blob.
func uploads() []Case {
	on := func(f *hostile.Fault) *hostile.Fault { return f.On(post, upload) }
	mounts := func(f *hostile.Fault) *hostile.Fault {
		return f.On(post, upload).When(func(r *http.Request) bool { return r.URL.Query().Has("mount") })
	}
	location := func(rewrite func(string) string) *hostile.Fault { return on(hostile.LocationTo(rewrite)) }
	path := func(s string) string {
		_, rest, _ := strings.Cut(s, "/v2/")
		return "/v2/" + rest
	}
	return []Case{
		recovers(target, "503 twice to the beginning of an upload", on(bare(503)).Times(2)).pair(),
		recovers(target, "429 with seconds to the beginning of an upload, once", on(hostile.TooMany("3")).Once()),
		recovers(target, "no answer to the beginning of an upload, once", on(hostile.NoHeader(0)).Once()),
		recovers(target, "the answer to the beginning of an upload is lost, once", on(hostile.LoseAnswer()).Once()).pair(),
		recovers(target, "the Location of an upload is a path", location(path)),
		recovers(target, "no HTTP in place of the beginning of an upload, once",
			on(hostile.Raw("220 mail.example\r\n")).Once()),
		recovers(target, "interim answers to the beginning of an upload", on(hostile.Interim(103, 2))),
		fails(target, fault.Unavailable, "500 to the beginning of each upload", on(bare(500))),
		fails(target, fault.Unavailable, "no answer to the beginning of each upload", on(hostile.NoHeader(0))),
		fails(target, fault.NotFound, "404 to the beginning of each upload", on(status(404, "NAME_UNKNOWN"))),
		fails(target, fault.Refused, "405 to the beginning of each upload", on(status(405, "UNSUPPORTED"))),
		fails(target, fault.Full, "507 to the beginning of each upload", on(status(507, "DENIED"))),
		fails(target, fault.Unavailable, "each upload has no Location", on(hostile.Header("Location", ""))),
		fails(target, fault.Refused, "each upload leads to another scheme",
			location(func(string) string { return "ftp://" + elsewhere + "/u" })),
		fails(target, fault.Refused, "a web page in place of the beginning of each upload", on(webpage(200))),
		fails(target, fault.Throttled, "429 to the beginning of each upload that asks for an hour",
			on(hostile.TooMany("3600"))),
		fails(target, fault.Refused, "each upload leads to a host that takes everything",
			location(func(s string) string { return "http://" + elsewhere + path(s) })),

		recovers(target, "a mount is not carried out", hostile.MountAnswers(202)),
		recovers(target, "500 to each mount", mounts(bare(500))),
		recovers(target, "403 to each mount", mounts(status(403, "DENIED"))),
		recovers(target, "404 to each mount", mounts(bare(404))),
		recovers(target, "405 to each mount", mounts(bare(405))),
		recovers(target, "the answer to a mount is lost, once", mounts(hostile.LoseAnswer()).Once()).pair(),
		recovers(target, "201 to each mount, and the blob is not there", mounts(bare(201))),

		recovers(target, "HEAD says that a blob is there that is not",
			hostile.LyingHead(Size)).asked().perhaps(fault.NotFound),
		recovers(target, "500 once to HEAD of a blob", bare(500).On(head, blob).Once()).asked().pair(),
		recovers(target, "405 to each HEAD of a blob",
			bare(405).On(head, blob)).asked().unequal("the one byte that says that a blob is there is not read"),
		recovers(target, "403 to each HEAD of a blob",
			bare(403).On(head, blob)).asked().unequal("the one byte that says that a blob is there is not read"),
		recovers(target, "no answer to HEAD of a blob, once", hostile.NoHeader(0).On(head, blob).Once()).asked(),
	}
}

// sessions has the faults of requests that send bytes of a blob.
func sessions() []Case {
	large := func(f *hostile.Fault) *hostile.Fault {
		return f.When(func(r *http.Request) bool { return r.ContentLength == Size })
	}
	on := func(f *hostile.Fault) *hostile.Fault { return f.On(put, upload) }
	piece := func(f *hostile.Fault) *hostile.Fault { return f.On(patch, upload) }
	const cutOff = "the registry read bytes of which it does not say how many"
	const again = "the target refuses a piece that it did not expect before it has read it"
	return []Case{
		recovers(target, "an upload is reset in its middle, once",
			large(hostile.CutRequestAt(Half)).Once()).unequal(cutOff).pair(),
		recovers(target, "an upload is reset at its first byte, once",
			large(hostile.CutRequestAt(1)).Once()).unequal(cutOff),
		recovers(target, "an upload is reset in its middle, three times",
			large(hostile.CutRequestAt(Half)).Times(3)).unequal(cutOff),
		recovers(target, "the session of an upload is lost in its middle, once",
			large(hostile.DropRequestAt(Half)).Once()).unequal(cutOff).pair(),
		recovers(target, "the target stops reading an upload, once",
			large(hostile.StopReading(Half, 0)).Once()).unequal(cutOff).pair(),
		recovers(target, "the target stops reading an upload for 20 seconds",
			large(hostile.StopReading(Half, 20*time.Second)).Once()),
		recovers(target, "500 once to the end of an upload", on(bare(500)).Once()).pair(),
		recovers(target, "504 with a web page to the end of an upload, once", on(webpage(504)).Once()),
		recovers(target, "429 with seconds to the end of an upload, once", on(hostile.TooMany("4")).Once()),
		recovers(target, "404 to the end of an upload, once", on(status(404, "BLOB_UPLOAD_UNKNOWN")).Once()).pair(),
		recovers(target, "no answer to the end of an upload, once", on(hostile.NoHeader(0)).Once()).unequal(unread),
		recovers(target, "the answer to the end of an upload is lost, once", on(hostile.LoseAnswer()).Once()).pair(),
		recovers(target, "each upload ends, and the answer is 502", on(hostile.DoneBut(502))),
		recovers(target, "an upload ends, and the answer is 404, once", on(hostile.DoneBut(404)).Once()),
		recovers(target, "uploads end with 201 and no digest", on(hostile.Header("Docker-Content-Digest", ""))),
		recovers(target, "uploads end with 204", on(hostile.DoneBut(204))),
		recovers(target, "the digest of an upload is found wrong, once", on(status(400, "DIGEST_INVALID")).Once()),
		fails(target, fault.TooLarge, "413 above a limit that is less than the smallest piece", hostile.TooLarge(Size*3/4)),
		recovers(target, "no HTTP in place of the end of an upload, once", on(hostile.Raw("220 mail.example\r\n")).Once()),
		fails(target, fault.Refused, "TLS in place of the end of each upload",
			on(hostile.Raw("\x15\x03\x01\x00\x02\x02\x28"))),
		fails(target, fault.Corrupt, "the digest of each upload is found wrong", on(status(400, "DIGEST_INVALID"))).pair(),
		fails(target, fault.Full, "507 to the end of each upload", on(status(507, "DENIED"))),
		fails(target, fault.Unavailable, "503 to the end of each upload", on(bare(503))),
		fails(target, fault.Corrupt, "each upload ends with 201 and is not there", on(bare(201))),
		fails(target, fault.Refused, "each upload ends with a web page and 201", on(webpage(201))),
		fails(target, fault.Refused, "303 to the end of each upload", on(hostile.RedirectTo("/v2/", 303))),
		fails(target, fault.Unavailable, "no answer to the end of each upload", on(hostile.NoHeader(0))),

		recovers(target, "416 to a piece of an upload, once", piece(bare(416)).Nth(2)).pieces().pair(),
		recovers(target, "500 once to a piece of an upload", piece(bare(500)).Nth(2)).pieces(),
		recovers(target, "404 to a piece of an upload, once", piece(status(404, "BLOB_UPLOAD_UNKNOWN")).Nth(2)).pieces(),
		recovers(target, "405 to each piece of an upload", piece(bare(405))).pieces(),
		recovers(target, "the answer to a piece of an upload is lost, once",
			piece(hostile.LoseAnswer()).Nth(2)).pieces().pair(),
		recovers(target, "a piece of an upload is reset in its middle, once",
			piece(hostile.CutRequestAt(Size/8)).Nth(2)).pieces().unequal(cutOff),
		recovers(target, "the answer to a piece says that less arrived",
			piece(hostile.Header("Range", "0-0")).Nth(2)).pieces().unequal(again),
		recovers(target, "the answer to a piece has no Range", piece(hostile.Header("Range", "")).Nth(2)).pieces(),
		recovers(target, "the answer to a piece has no Location",
			piece(hostile.Header("Location", "")).Nth(2)).pieces().unequal(again),
	}
}
