package beside

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// Shelf holds the content of one repository, as registries list it in APIs beside the distribution
// API. Each of its methods is a stub of one such API, written from its documentation: it accepts
// the documented paths, queries and headers, fails the test at any other, and passes the rest to
// next.
type Shelf struct {
	Repo  string
	Rows  []Row
	Login string // "user:password" for Harbor, the token for GitHub; "" requires no login
	Owner string // of a GitHub package: "orgs" or "users"
	Page  int    // limits the rows of a page if the request asks for more; 0 does not limit
	Each  func(w http.ResponseWriter, req *http.Request) (answered bool)
	TB    testing.TB

	Live bool // ACR lists the content of next instead of Rows

	live  sync.Mutex // held by requests that read next
	mu    sync.Mutex
	locks map[string]map[string]bool // attributes that were set on ACR's tags
}

// Row is one manifest. Its times are Shelved.
type Row struct {
	Digest, MediaType, OS, Arch string
	Tags                        []string
	Size                        int64
	Updated                     time.Time // time of the tags, for ACR; zero means Shelved
}

func (r Row) updated() time.Time {
	if r.Updated.IsZero() {
		return Shelved
	}
	return r.Updated
}

// Shelved is the time at which all content of a Shelf was pushed.
var Shelved = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tag is one tag of a shelf.
type tag struct {
	name string
	row  Row
}

// tags returns all tags, sorted by name.
func (s *Shelf) tags() []tag {
	var all []tag
	for _, r := range s.Rows {
		for _, name := range r.Tags {
			all = append(all, tag{name, r})
		}
	}
	slices.SortFunc(all, func(a, b tag) int { return strings.Compare(a.name, b.name) })
	return all
}

// page returns at most n rows from index from, and the index at which the next page begins; 0 means
// that this is the last page.
func page[T any](s *Shelf, all []T, from, n int) (rows []T, next int) {
	if s.Page > 0 {
		n = min(n, s.Page)
	}
	from = min(from, len(all))
	if from+n < len(all) {
		return all[from : from+n], from + n
	}
	return all[from:], 0
}

// want fails the test unless the query has exactly these values, in any order. "*" stands for any
// number.
func (s *Shelf) want(w http.ResponseWriter, req *http.Request, query string) bool {
	want, _ := url.ParseQuery(query)
	got := req.URL.Query()
	ok := req.Method == http.MethodGet && len(got) == len(want)
	for k := range want {
		_, err := strconv.Atoi(got.Get(k))
		ok = ok && (got.Get(k) == want.Get(k) || want.Get(k) == "*" && err == nil)
	}
	if !ok {
		s.wrong(w, req)
	}
	return ok
}

func (s *Shelf) wrong(w http.ResponseWriter, req *http.Request) {
	s.TB.Errorf("this API has no %s %s", req.Method, req.URL)
	testbed.Refuse(w, http.StatusBadRequest, "UNSUPPORTED", "no such thing")
}

// front calls Each first, if it is set. If Each does not answer, own does.
func (s *Shelf) front(next, own http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case testbed.Parse(req.URL.Path).Kind != testbed.Own:
			next.ServeHTTP(w, req)
		case s.Each == nil || !s.Each(w, req):
			own.ServeHTTP(w, req)
		}
	})
}

// link sets a Link header like ACR's.
func link(w http.ResponseWriter, to string) { w.Header().Set("Link", "<"+to+`>; rel="next"`) }
