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

// Shelf is what one repository holds, as the lists tell it that registries have
// beside the distribution API. Each of its methods is a stub of one such API,
// by its documents: it takes the paths, queries and headers that are named
// there, fails the test at any other, and passes the rest to next.
type Shelf struct {
	Repo  string
	Rows  []Row
	Login string // "user:password" that Harbor wants, the token that GitHub wants; "" is none
	Owner string // of a GitHub package: "orgs" or "users"
	Page  int    // rows of a page, where the request asks for more; 0 is what it asks for
	Each  func(w http.ResponseWriter, req *http.Request) (answered bool)
	TB    testing.TB

	Live bool // ACR tells what next holds, and not Rows

	live  sync.Mutex // of requests that look at next
	mu    sync.Mutex
	locks map[string]map[string]bool // of ACR's tags: the attributes that were set
}

// Row is one manifest. Times are Shelved.
type Row struct {
	Digest, MediaType, OS, Arch string
	Tags                        []string
	Size                        int64
	Updated                     time.Time // of the tags, for ACR; zero is Shelved
}

func (r Row) updated() time.Time {
	if r.Updated.IsZero() {
		return Shelved
	}
	return r.Updated
}

// Shelved is when everything on a Shelf was pushed.
var Shelved = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tag is one tag of a shelf.
type tag struct {
	name string
	row  Row
}

// tags come in the order of their names.
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

// page cuts rows from on to what was asked for, and says where the next begins; 0 is nowhere.
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

// want fails the test unless the query is exactly this, values in any order; "*" is any number.
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
	s.TB.Errorf("the API knows no %s %s", req.Method, req.URL)
	testbed.Refuse(w, http.StatusBadRequest, "UNSUPPORTED", "no such thing")
}

// front lets Each answer first.
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

// link sets a Link like ACR's.
func link(w http.ResponseWriter, to string) { w.Header().Set("Link", "<"+to+`>; rel="next"`) }
