package storm

import (
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
)

// heads has the faults of HEAD of a manifest.
func heads() []Case {
	return []Case{
		recovers(source, "500 twice to HEAD of a manifest", bare(500).On(head, manifest).Times(2)).pair(),
		recovers(source, "405 to each HEAD of a manifest", bare(405).On(head, manifest)),
		recovers(source, "403 to each HEAD of a manifest", bare(403).On(head, manifest)),
		recovers(source, "404 to each HEAD of a manifest", bare(404).On(head, manifest)),
		recovers(source, "429 five times to HEAD of a manifest, without a time",
			hostile.TooMany("").On(head, manifest).Times(5)).pair(),
		recovers(source, "no answer to HEAD of a manifest, once", hostile.NoHeader(0).On(head, manifest).Once()),
		recovers(source, "no digest in answers", hostile.NoDigestHeader()),
		recovers(source, "HEAD of a manifest says text/plain", hostile.WrongContentType("text/plain").On(head, manifest)),
		recovers(source, "HEAD of a manifest has no length", hostile.Header("Content-Length", "").On(head, manifest)),
		recovers(source, "the connection closes without a word at HEAD of a manifest, once",
			hostile.Raw("").On(head, manifest).Once()).repeated(),
		fails(source, fault.NotFound, "HEAD of a manifest has another digest",
			hostile.WrongDigestHeader().On(head, manifest)),
		fails(source, fault.Throttled, "429 to HEAD of a manifest that asks for an hour",
			hostile.TooMany("3600").On(head, manifest)),
		fails(source, fault.Unavailable, "503 to each HEAD of a manifest", bare(503).On(head, manifest)),
		fails(source, fault.Refused, "redirects in a loop at HEAD and GET of a manifest",
			hostile.RedirectSelf(302).On("", manifest)),

		recovers(target, "500 twice to HEAD of a tag", bare(500).On(head, manifest).Times(2)),
		recovers(target, "no digest in answers", hostile.NoDigestHeader()),
		recovers(target, "the connection closes without a word at HEAD of a tag, once",
			hostile.Raw("").On(head, manifest).Once()).repeated(),
		fails(target, fault.Unavailable, "503 to each HEAD of a tag", bare(503).On(head, manifest)),
	}
}

// gets has the faults of GET of a manifest.
func gets(p Place) []Case {
	on := func(f *hostile.Fault) *hostile.Fault { return f.On(get, manifest) }
	return []Case{
		recovers(source, "500 twice to a manifest", on(bare(500)).Times(2)),
		recovers(source, "502 with a web page twice to a manifest", on(webpage(502)).Times(2)),
		recovers(source, "504 once to a manifest", on(bare(504)).Once()),
		recovers(source, "408 once to a manifest", on(bare(408)).Once()),
		recovers(source, "429 with seconds to a manifest, once", on(hostile.TooMany("2")).Once()).pair(),
		recovers(source, "429 with a date to a manifest, once", on(hostile.TooManyUntil(3*time.Second)).Once()),
		recovers(source, "429 with a time that makes no sense to a manifest, twice", on(hostile.TooMany("soon")).Times(2)),
		recovers(source, "429 with a negative time to a manifest, twice", on(hostile.TooMany("-1")).Times(2)),
		recovers(source, "503 with nine minutes to wait to a manifest, once",
			on(hostile.Status(503, http.Header{"Retry-After": {"540"}}, "")).Once()),
		recovers(source, "a manifest is cut, once", on(hostile.CutBodyAt(100)).Once()).pair(),
		recovers(source, "a manifest ends early in good order, once", on(hostile.CleanEOFAt(100)).Once()).pair(),
		recovers(source, "a manifest is empty, once", on(hostile.CleanEOFAt(0)).Once()),
		recovers(source, "a bit of a manifest is flipped, once", on(hostile.FlipBit(30)).Once()).pair(),
		recovers(source, "a manifest stalls, once", on(hostile.StallAt(50, 0)).Once()),
		recovers(source, "a manifest stalls for 20 seconds", on(hostile.StallAt(50, 20*time.Second)).Once()),
		recovers(source, "no answer to a manifest, once", on(hostile.NoHeader(0)).Once()).pair(),
		recovers(source, "a manifest trickles", on(hostile.Trickle(100)).Once()),
		recovers(source, "the answer with a manifest is lost, once", on(hostile.LoseAnswer()).Once()),
		recovers(source, "half a header in place of a manifest, once",
			on(hostile.Raw("HTTP/1.1 200 OK\r\nContent-Le")).Once()),
		recovers(source, "no HTTP in place of a manifest, once",
			on(hostile.Raw("220 mail.example ESMTP\r\n")).Once()).pair(),
		recovers(source, "a broken chunk in a manifest, once",
			on(hostile.Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")).Once()),
		recovers(source, "interim answers before a manifest", on(hostile.Interim(103, 4))),
		recovers(source, "a manifest is compressed", on(hostile.ContentEncoding("gzip"))),
		recovers(source, "a manifest says that it is compressed and is not", on(hostile.ContentEncoding("br"))),
		recovers(source, "a manifest says that it is a plain stream",
			on(hostile.WrongContentType("application/octet-stream"))),
		recovers(source, "a manifest has a type in upper case with parameters",
			on(hostile.WrongContentType(strings.ToUpper(p.Type)+"; charset=utf-8")).At(p.Root)),
		recovers(source, "a manifest has two lengths, once",
			on(hostile.Raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")).Once()),
		recovers(source, "a cookie and a strange header with each manifest",
			on(hostile.Header("Set-Cookie", "a=b; Path=/"))),
		fails(source, fault.Unavailable, "503 to each manifest", on(bare(503))),
		fails(source, fault.Unavailable, "no HTTP in place of each manifest",
			on(hostile.Raw("220 mail.example ESMTP\r\n"))),
		fails(source, fault.Unavailable, "no answer to each manifest", on(hostile.NoHeader(0))),
		fails(source, fault.Unavailable, "a header without end with each manifest",
			on(hostile.Header("X-Long", strings.Repeat("x", 300<<10)))),
		fails(source, fault.NotFound, "404 to each manifest", status(404, "MANIFEST_UNKNOWN").On("", manifest)),
		fails(source, fault.NotFound, "404 to GET of each manifest", on(status(404, "MANIFEST_UNKNOWN"))),
		fails(source, fault.Denied, "403 to each manifest", on(status(403, "DENIED"))),
		fails(source, fault.Refused, "400 to each manifest", on(status(400, "UNSUPPORTED"))),
		fails(source, fault.Refused, "406 to each manifest", on(bare(406))),
		fails(source, fault.Refused, "501 to each manifest", on(bare(501))),
		fails(source, fault.Refused, "a web page in place of each manifest", on(webpage(200))),
		fails(source, fault.Corrupt, "a bit of each manifest is flipped", on(hostile.FlipBit(30))),
		fails(source, fault.Corrupt, "each manifest is longer", on(hostile.LongerBody(7))),
		fails(source, fault.Corrupt, "other content in place of each manifest",
			on(hostile.OtherManifest("application/vnd.oci.image.manifest.v1+json", []byte(`{"schemaVersion":2}`)))),
		fails(source, fault.TooLarge, "each manifest has no end", on(hostile.EndlessManifest())),
		fails(source, fault.Refused, "each manifest redirects to another scheme",
			on(hostile.RedirectTo("ftp://"+elsewhere+"/m", 307))),
		fails(source, fault.Refused, "each manifest redirects to a host that does not have it",
			on(hostile.RedirectTo("http://"+elsewhere+"/m", 307))),
		fails(source, fault.Corrupt, "another image's answer to each manifest",
			on(hostile.Edit(func(string) string { return `{"schemaVersion":2,"config":{},"layers":[]}` }))),
		fails(source, fault.Throttled, "429 to each manifest that asks for a day", on(hostile.TooMany("86400"))),
	}
}
