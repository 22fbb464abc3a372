package storm

import (
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
)

// tags has the faults of manifests that are sent.
func tags() []Case {
	on := func(f *hostile.Fault) *hostile.Fault { return f.On(put, manifest) }
	byDigest := func(f *hostile.Fault) *hostile.Fault {
		return on(f).When(func(r *http.Request) bool { return strings.Contains(r.URL.Path, ":") })
	}
	byTag := func(f *hostile.Fault) *hostile.Fault {
		return on(f).When(func(r *http.Request) bool { return !strings.Contains(r.URL.Path, ":") })
	}
	onlyIndex := func(c Case) Case { return c.never(Image, Transfer, Job) }
	return []Case{
		recovers(target, "500 once to a manifest", on(bare(500)).Once()).pair(),
		recovers(target, "429 with seconds to a manifest, once", on(hostile.TooMany("1")).Once()),
		recovers(target, "429 with a date to a manifest, once",
			on(hostile.TooManyUntil(8*time.Minute)).Once()).unequal("the token ends meanwhile, and " + unread),
		recovers(target, "no answer to a manifest, once", on(hostile.NoHeader(0)).Once()).unequal(unread),
		recovers(target, "the answer to a manifest is lost, once", on(hostile.LoseAnswer()).Once()).pair(),
		recovers(target, "each manifest is stored, and the answer is 500", on(hostile.DoneBut(500))),
		recovers(target, "each manifest is stored, and the answer is 201 without a digest", on(hostile.DoneBut(201))),
		recovers(target, "each manifest is stored, and the answer is 202", on(hostile.DoneBut(202))),
		recovers(target, "the connection closes without a word at a manifest, once", on(hostile.Raw("")).Once()),
		recovers(target, "half a header in answer to a manifest, once", on(hostile.Raw("HTTP/1.1 201 Cre")).Once()),
		recovers(target, "interim answers to a manifest", on(hostile.Interim(103, 2))),
		recovers(target, "a manifest is refused because a blob is unknown, once",
			on(status(400, "MANIFEST_BLOB_UNKNOWN")).Once()).pair(),
		recovers(target, "500 once to a child by digest", byDigest(bare(500)).Once()).never(Image, Transfer, Job),
		fails(target, fault.Unavailable, "503 to each manifest", on(bare(503))),
		fails(target, fault.Unavailable, "no answer to each manifest", on(hostile.NoHeader(0))),
		fails(target, fault.Refused, "each manifest is found invalid", on(status(400, "MANIFEST_INVALID"))),
		fails(target, fault.Refused, "400 without a word to each manifest", on(bare(400))),
		fails(target, fault.NotFound, "404 to each manifest", on(status(404, "NAME_UNKNOWN"))),
		fails(target, fault.Conflict, "409 to each manifest", on(status(409, "TAG_IMMUTABLE"))),
		fails(target, fault.Conflict, "405 to each tag, which names a lock",
			byTag(hostile.Error(405, "UNSUPPORTED", "the tag is locked"))),
		fails(target, fault.TooLarge, "413 to each manifest", on(bare(413))),
		fails(target, fault.Full, "507 to each manifest", on(status(507, "DENIED"))),
		fails(target, fault.Full, "403 to each manifest with a quota",
			on(hostile.Error(403, "DENIED", "adding 1 MiB of storage resource exceeds the upper limit of storage quota"))),
		fails(target, fault.Corrupt, "201 without a digest, and no manifest is stored", on(hostile.Lying201(""))),
		fails(target, fault.Corrupt, "each manifest is stored under another digest",
			on(hostile.Lying201("sha256:"+strings.Repeat("a", 64)))),
		fails(target, fault.Refused, "a web page and 201 in answer to each manifest", on(webpage(201))),
		fails(target, fault.Refused, "201 with an error in answer to each manifest",
			on(hostile.Error(201, "UNKNOWN", "no"))),
		fails(target, fault.Refused, "302 to each manifest", on(hostile.RedirectTo("http://"+elsewhere+"/m", 302))),
		fails(target, fault.Throttled, "429 to each manifest that asks for an hour", on(hostile.TooMany("3600"))),
		onlyIndex(fails(target, fault.Denied, "403 to each child by digest", byDigest(status(403, "DENIED")))),
	}
}
