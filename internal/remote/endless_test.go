package remote_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// answers serves answer in place of the registry. n counts the requests from 1 on.
func answers(answer func(w http.ResponseWriter, r *http.Request, n int)) func(*testbed.Options, *remote.Options) {
	return func(s *testbed.Options, o *remote.Options) {
		var n atomic.Int64
		o.Retries = -1
		s.Front = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer(w, r, int(n.Add(1)))
			})
		}
	}
}

// repeated is a body of n times text.
func repeated(text string, n int) io.Reader {
	many := make([]io.Reader, n)
	for i := range many {
		many[i] = strings.NewReader(text)
	}
	return io.MultiReader(many...)
}

// F-40: what json.Decoder would keep in memory ends the page before it is read.
func TestF40APageThatIsNestedOrHasAnEndlessValueIsRefusedSoon(t *testing.T) {
	for name, c := range map[string]struct{ head, text string }{
		"arrays beside the list": {`{"x":`, strings.Repeat("[", mib)},
		"objects in the list":    {`{"tags":`, strings.Repeat(`{"tags":`, mib/8)},
		"nested errors":          {`{"errors":`, strings.Repeat("[", mib)},
		"a string":               {`{"tags":["`, strings.Repeat("s", mib)},
		"a number":               {`{"tags":[`, strings.Repeat("1", mib)},
		"the name of a member":   {`{"`, strings.Repeat("s", mib)},
		"a list of errors":       {`{"errors":[{}`, strings.Repeat(`,{"a":[1,2,3]}`, mib/14)},
		"empty names":            {`{"tags":[""`, strings.Repeat(`,""`, mib/3)},
		"escaped brackets":       {`{"x":"\"[[`, strings.Repeat(`\"[[`, mib/4)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(b *bench) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				got, err := b.tags()
				runtime.ReadMemStats(&after)
				if !fault.Is(err, fault.TooLarge) && !fault.Is(err, fault.Refused) {
					b.Errorf("%.200v", err)
				}
				if len(got) > 0 || len(err.Error()) > 500 {
					b.Errorf("%d tags, %d letters", len(got), len(err.Error()))
				}
				if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 250 { // a million empty names take the most
					b.Errorf("%d MiB of memory", took)
				}
			}, answers(func(w http.ResponseWriter, _ *http.Request, _ int) {
				_, _ = io.Copy(w, io.MultiReader(strings.NewReader(c.head), repeated(c.text, 63)))
			}))
		})
	}
}

// F-37, F-40: a list whose every page has new names, or a new link, ends.
func TestF40AListOfPagesWithoutEndIsRefused(t *testing.T) {
	next := func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Link", fmt.Sprintf(`<%s?n=1000&last=%d>; rel="next"`, r.URL.Path, n))
	}
	var many strings.Builder
	for i := range 100_000 {
		_, _ = fmt.Fprintf(&many, `,"%s-@-%d"`, strings.Repeat("long", 20), i)
	}
	large := func(w http.ResponseWriter, member string, n int) {
		_, _ = fmt.Fprintf(w, `{%q:["x"%s]}`, member, strings.ReplaceAll(many.String(), "@", strconv.Itoa(n)))
	}
	bubble(t, nil, func(b *bench) {
		_, err := b.tags()
		wantKind(b, err, fault.TooLarge)
		if n := b.r.Requests(); n > 10 || !strings.Contains(err.Error(), "256 MiB") {
			b.Errorf("%d requests: %v", n, err)
		}
		b.r.Reset()
		_, err = b.repositories()
		wantKind(b, err, fault.TooLarge)
		if n := b.r.Requests(); n < 5 {
			b.Errorf("%d requests: the memory of the first list was not given back: %v", n, err)
		}
	}, answers(func(w http.ResponseWriter, r *http.Request, n int) {
		next(w, r, n)
		large(w, map[bool]string{true: "tags", false: "repositories"}[strings.HasSuffix(r.URL.Path, "/tags/list")], n)
	}))
	bubble(t, nil, func(b *bench) {
		_, err := b.tags()
		wantKind(b, err, fault.Refused)
		if n := b.r.Requests(); n > 10 || !strings.Contains(err.Error(), "repeats itself") {
			b.Errorf("%d requests: %v", n, err)
		}
	}, answers(func(w http.ResponseWriter, r *http.Request, n int) {
		next(w, r, n)
		_, _ = fmt.Fprintf(w, `{"tags":["a%d"]}`, n%3) // no page is like the one before it
	}))
}

func TestAListOfReferrersWithoutEndIsRefused(t *testing.T) {
	subject := oci.Descriptor{Digest: oci.Sum([]byte("x")), MediaType: oci.TypeManifest}
	for name, c := range map[string]struct {
		page func(n int) string
		kind fault.Kind
	}{
		"nothing new": {func(int) string { return `{"manifests":[]}` }, fault.Refused},
		"large pages": {func(n int) string {
			return fmt.Sprintf(`{"manifests":[{"mediaType":%q,"digest":%q,"size":5,"annotations":{"a":%q}}]}`,
				oci.TypeManifest, oci.Sum(fmt.Append(nil, n)), strings.Repeat("x", 4*mib-1000))
		}, fault.TooLarge},
		"many referrers": {func(n int) string {
			var all []string
			for i := range 1000 {
				all = append(all, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":5}`, oci.TypeManifest, oci.Sum(fmt.Append(nil, n, i))))
			}
			return `{"manifests":[` + strings.Join(all, ",") + `]}`
		}, fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(b *bench) {
				_, err := b.repo.Referrers(b.Context(), subject)
				wantKind(b, err, c.kind)
				if n := b.r.Requests(); n > 12 {
					b.Errorf("%d requests", n)
				}
			}, answers(func(w http.ResponseWriter, r *http.Request, n int) {
				w.Header().Set("Content-Type", oci.TypeIndex)
				w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, n+1))
				_, _ = io.WriteString(w, c.page(n))
			}))
		})
	}
}

// F-37: a list of a registry's own API whose pages are all the same.
func TestF37AnOwnListThatRepeatsItselfEnds(t *testing.T) {
	var rows []string
	for i := range 100 {
		rows = append(rows, fmt.Sprintf(`{"digest":%q}`, sum(i)))
	}
	n := 0
	r := open(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/api/v2.0/") {
				next.ServeHTTP(w, r)
				return
			}
			n++
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "["+strings.Join(rows, ",")+"]")
		})
	}, http.NotFoundHandler())
	s := visit(t, "harbor.example.com/team/app", map[string]*testbed.Registry{"harbor.example.com": r}, kind("harbor.example.com", "harbor"))
	_ = s.repo.List(t.Context(), func(oci.Listed) error { return nil })
	if n == 0 || n > 6 {
		t.Errorf("%d requests", n)
	}
}

// Sixteen long manifests are read at the same time. Without a limit, all of them would be in memory together.
func TestLongManifestsWaitForRoomBeforeTheyAreRead(t *testing.T) {
	var mu sync.Mutex
	open, most := 0, 0
	body := []byte(fmt.Sprintf(`{"mediaType":%q,"manifests":[],"annotations":{"a":%q}}`, oci.TypeIndex, strings.Repeat("x", 4*mib-1000)))
	bubble(t, nil, func(b *bench) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if _, err := b.repo.Document(b.Context(), "v1"); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		if most > 8 {
			b.Errorf("%d manifests of 4 MiB were read at the same time", most)
		}
	}, answers(func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Content-Type", oci.TypeIndex)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		const first = 256 << 10 // more than is read without room, and than buffers hold
		_, _ = w.Write(body[:first])
		mu.Lock()
		open++
		most = max(most, open)
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		open--
		mu.Unlock()
		_, _ = w.Write(body[first:])
	}))
}
