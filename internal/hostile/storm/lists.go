package storm

import (
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

func list(body string) *hostile.Fault {
	return hostile.Status(200, http.Header{"Content-Type": {"application/json"}}, body)
}

func index(body string) *hostile.Fault {
	return hostile.Status(200, http.Header{"Content-Type": {"application/vnd.oci.image.index.v1+json"}}, body)
}

// lists has the faults of lists of repositories, of tags and of referrers.
func lists(p Place) []Case {
	const all, tags, referrers = testbed.Catalog, testbed.Tags, testbed.Referrer
	alone := func(r *http.Request) bool { return !strings.HasPrefix(r.URL.Path, "/v2/team/") }
	return []Case{
		recovers(source, "500 twice to the list of repositories", bare(500).On(get, all).Times(2)).listed(),
		recovers(source, "the list of repositories is cut, once", hostile.CutBodyAt(20).On(get, all).Once()).listed(),
		recovers(source, "no answer to the list of repositories, once", hostile.NoHeader(0).On(get, all).Once()).listed(),
		recovers(source, "the list of repositories is compressed", hostile.ContentEncoding("gzip").On(get, all)).listed(),
		recovers(source, "the list of repositories has names twice and impossible ones",
			list(`{"repositories":["team/a","team/a","../etc","team/b","team/B","team/a"]}`).On(get, all)).listed(),
		fails(source, fault.Denied, "401 to the list of repositories", status(401, "UNAUTHORIZED").On(get, all)).listed(),
		fails(source, fault.Denied, "403 to the list of repositories", status(403, "DENIED").On(get, all)).listed(),
		fails(source, fault.NotFound, "404 to the list of repositories", bare(404).On(get, all)).listed(),
		fails(source, fault.Refused, "405 to the list of repositories", bare(405).On(get, all)).listed(),
		fails(source, fault.Refused, "the list of repositories leads to itself", hostile.LinkSelf().On(get, all)).listed(),
		fails(source, fault.Refused, "the list of repositories leads to another host",
			hostile.LinkTo("http://"+elsewhere+"/v2/_catalog?last=z").On(get, all)).listed(),
		fails(source, fault.Refused, "a web page in place of the list of repositories", webpage(200).On(get, all)).listed(),
		fails(source, fault.Refused, "the list of repositories holds numbers",
			list(`{"repositories":["team/a",7]}`).On(get, all)).listed(),
		fails(source, fault.Refused, "204 to the list of repositories", bare(204).On(get, all)).listed(),
		fails(source, fault.TooLarge, "the list of repositories is nested without end",
			hostile.Edit(func(string) string { return `{"repositories":` + strings.Repeat("[", 100_000) }).On(get, all)).
			listed(),

		recovers(source, "503 twice to a list of tags", bare(503).On(get, tags).Times(2)).listed(),
		recovers(source, "a list of tags is cut, once", hostile.CutBodyAt(15).On(get, tags).Once()).listed(),
		recovers(source, "429 with a date to a list of tags, once",
			hostile.TooManyUntil(4e9).On(get, tags).Once()).listed(),
		recovers(source, "a list of tags stalls, once", hostile.StallAt(10, 0).On(get, tags).Once()).listed(),
		fails(source, fault.Unavailable, "502 to each list of tags", webpage(502).On(get, tags)).listed(),
		fails(source, fault.Denied, "403 to each list of tags", status(403, "DENIED").On(get, tags)).listed(),
		fails(source, fault.Refused, "each list of tags leads to itself", hostile.LinkSelf()).listed(),
		fails(source, fault.Refused, "each list of tags leads to another host",
			hostile.LinkTo("http://"+elsewhere+"/x")).listed(),
		fails(source, fault.Refused, "each list of tags is an error with 200",
			list(`{"errors":[{"code":"UNKNOWN","message":"no"}]}`).On(get, tags)).listed(),
		fails(source, fault.Refused, "each list of tags is compressed and cut", cutGzip().On(get, tags)).listed(),
		fails(source, fault.TooLarge, "each list of tags has an endless name",
			hostile.Edit(func(string) string { return `{"tags":["` + strings.Repeat("a", 2<<20) }).On(get, tags)).listed(),
		fails(source, fault.NotFound, "a list names a tag that is gone",
			list(`{"tags":["v1","v2","gone"]}`).On(get, tags).In("team/a")).listed(),

		recovers(source, "500 twice to the list of referrers", bare(500).On(get, referrers).Times(2)),
		recovers(source, "each list of referrers is cut", index(`{"schemaVersion":2,"manifests":[`).On(get, referrers)),
		recovers(source, "no answer to the list of referrers, once", hostile.NoHeader(0).On(get, referrers).Once()),
		recovers(source, "a web page in place of the list of referrers", webpage(200).On(get, referrers)),
		recovers(source, "the login may not list referrers", status(403, "DENIED").On(get, referrers)),
		fails(source, fault.Unavailable, "503 to each list of referrers", bare(503).On(get, referrers)),
		fails(source, fault.Unavailable, "500 to each tag with referrers",
			bare(500).On("", manifest).When(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/sha256-") })).
			never(Transfer, Job),
		recovers(source, "the list of referrers has the image itself",
			index(`{"schemaVersion":2,"manifests":[{"mediaType":`+
				`"application/vnd.oci.image.manifest.v1+json","size":9,"digest":"`+p.Root+`"}]}`).On(get, referrers).When(alone)).
			never(Transfer, Job),
	}
}

// cutGzip answers with the beginning of a compressed body, as if that were all.
func cutGzip() *hostile.Fault {
	header := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	return hostile.Status(200, header, "\x1f\x8b\x08\x00\x00")
}
