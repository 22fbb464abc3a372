package remote_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// cutter answers lists in the place of a registry. Its answers have at most size names.
type cutter struct {
	size  int
	names map[string][]string // by path; the catalog has the path "_catalog"
	// link returns the Link to the page after last; nil and "" write none.
	link func(u *url.URL, last string) string
	deaf bool // the parameter n has no effect
	most int  // the largest n that is accepted; 0 accepts all

	refuseMore int // the answer to a request for the names after one; 0 answers with them
}

func (c cutter) front(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		path := strings.TrimSuffix(strings.TrimPrefix(req.URL.Path, "/v2/"), "/tags/list")
		all, known := c.names[path]
		if !known {
			w.WriteHeader(http.StatusOK)
			return
		}
		n, q := c.size, req.URL.Query()
		if asked, err := strconv.Atoi(q.Get("n")); err == nil && c.most > 0 && asked > c.most {
			testbed.Refuse(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
			return
		} else if err == nil && !c.deaf {
			n = min(n, asked)
		}
		if last := q.Get("last"); last != "" {
			if c.refuseMore != 0 {
				testbed.Refuse(w, c.refuseMore, "UNSUPPORTED", "no such parameter")
				return
			}
			all = all[slices.Index(all, last)+1:]
		}
		if len(all) > n {
			all = all[:n]
			if to := ""; c.link != nil {
				if to = c.link(req.URL, all[n-1]); to != "" {
					w.Header().Set("Link", to)
				}
			}
		}
		key := "tags"
		if path == "_catalog" {
			key = "repositories"
		}
		raw, _ := json.Marshal(map[string]any{"name": path, key: all})
		_, _ = w.Write(raw)
	})
}

// in runs test against the registry that c cuts.
func (c cutter) in(t *testing.T, test func(b *bench)) {
	t.Helper()
	bubble(t, nil, test, func(s *testbed.Options, _ *remote.Options) { s.Front = c.front })
}

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("v%04d", i)
	}
	return all
}

func (b *bench) tagsOf(path string) []string {
	b.Helper()
	var all []string
	at := b.client.Open(repo(b.r, path), remote.Use{Observe: b.events.watch()})
	must(b, at.List(b.Context(), func(l oci.Listed) error { all = append(all, l.Tag); return nil }))
	return all
}

func (b *bench) repositories() ([]string, error) {
	b.Helper()
	var all []string
	err := b.client.Repositories(b.Context(), b.r.Host, remote.Use{Observe: b.events.watch()}, func(path string) error {
		all = append(all, path)
		return nil
	})
	return all, err
}

func (b *bench) lists(path string, n int) {
	b.Helper()
	if got := b.tagsOf(path); !slices.Equal(got, numbered(n)) {
		b.Errorf("%d of %d tags of %s", len(got), n, path)
	}
}

func TestF38APageThatIsCutWithoutALinkIsContinued(t *testing.T) {
	for _, size := range []int{10, 20, 32, 50, 75, 100, 256, 1000} {
		for _, deaf := range []bool{false, true} {
			// The first page that is complete by chance does not prove that the others are.
			cutter{size: size, deaf: deaf, names: map[string][]string{
				"whole": numbered(size), "more": numbered(2*size + 5), "few": numbered(3), "exact": numbered(3 * size),
			}}.in(t, func(b *bench) {
				b.lists("whole", size)
				b.lists("more", 2*size+5)
				b.lists("few", 3)
				b.lists("exact", 3*size)
			})
		}
		cutter{size: size, names: map[string][]string{"_catalog": numbered(size + 1)}}.in(t, func(b *bench) {
			if got, err := b.repositories(); err != nil || len(got) != size+1 {
				b.Errorf("%d: %d repositories, %v", size, len(got), err)
			}
		})
	}
}

func TestF38ARegistryThatWritesLinksIsDoubtedOnce(t *testing.T) {
	names := map[string][]string{}
	for i := range 20 {
		names[fmt.Sprintf("r%02d", i)] = numbered(10)
	}
	link := func(u *url.URL, last string) string { return "<" + u.Path + "?last=" + last + `>; rel="next"` }
	cutter{size: 1000, names: names, link: link}.in(t, func(b *bench) {
		for path := range names {
			b.lists(path, 10)
		}
		b.count("GET", testbed.Tags, len(names)+2)
	})
	cutter{size: 1000, names: map[string][]string{"a": numbered(12), "b": numbered(10)}, link: link}.in(t, func(b *bench) {
		b.lists("a", 12)
		b.lists("b", 10)
		b.count("GET", testbed.Tags, 2)
	})
}

func TestF38LinksThatAreWrittenOtherwiseAreFollowed(t *testing.T) {
	for name, link := range map[string]func(u *url.URL, last string) string{
		"no brackets":        func(u *url.URL, last string) string { return u.Path + "?last=" + last + `; rel="next"` },
		"no relation":        func(u *url.URL, last string) string { return "<" + u.Path + "?last=" + last + ">" },
		"without its prefix": func(_ *url.URL, last string) string { return "</app/tags/list?last=" + last + `&n=10>; rel="next"` },
		"of another list":    func(_ *url.URL, last string) string { return "</v2/other/tags/list?last=" + last + `>; rel="next"` },
		"relative to a list": func(_ *url.URL, last string) string { return "<tags/list?last=" + last + `>; rel="next"` },
		"query alone":        func(_ *url.URL, last string) string { return "<?last=" + last + `>; rel="next"` },
		"own token": func(_ *url.URL, last string) string {
			return "</v2/artifacts/app/tags/list?last=" + last + `&token=secret>; rel=next`
		},
	} {
		t.Run(name, func(t *testing.T) {
			cutter{size: 7, names: map[string][]string{"app": numbered(25), "other": {"x"}}, link: link}.in(t, func(b *bench) {
				b.lists("app", 25)
				b.count("GET", testbed.Tags, 4)
			})
		})
	}
	away := func(_ *url.URL, last string) string { return `</v2/other/tags/list?next=` + last + `>; rel="next"` }
	cutter{size: 7, names: map[string][]string{"app": numbered(25), "other": {"x"}}, link: away}.in(t, func(b *bench) {
		_, err := b.tags()
		wantKind(b, err, fault.Refused)
	})
}

func TestF38ANumberOfNamesThatIsRefusedIsLeftOut(t *testing.T) {
	link := func(u *url.URL, last string) string { return "<" + u.Path + "?last=" + last + `&n=1000>; rel="next"` }
	names := map[string][]string{"_catalog": numbered(25), "app": numbered(25)}
	for _, link := range []func(*url.URL, string) string{nil, link} {
		cutter{size: 10, most: 10, names: names, link: link}.in(t, func(b *bench) {
			for range 2 {
				if got, err := b.repositories(); err != nil || !slices.Equal(got, numbered(25)) {
					b.Errorf("%d repositories, %v", len(got), err)
				}
				b.lists("app", 25)
			}
			refused := 0
			for _, q := range b.r.Log() {
				if q.Status == http.StatusBadRequest {
					refused++
				}
			}
			if link == nil && refused != 2 {
				b.Errorf("%d requests were refused, want one for each list", refused)
			}
		})
	}
}

func TestF39AnAnswerThatIsNoListIsNoEmptyList(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"name":"app"}`, `{"errors":[{"code":"UNAVAILABLE","message":"try later"}]}`, `{"message":"maintenance"}`,
		`{"tags":[],"repositories":[],"errors":[{"code":"UNKNOWN"}]}`, `null`, `"tags"`, `<html></html>`, `{"Tags":["a"]}`,
	} {
		bubble(t, []*hostile.Fault{hostile.Status(200, nil, body)}, func(b *bench) {
			_, err := b.tags()
			wantKind(b, err, fault.Refused)
			_, err = b.repositories()
			wantKind(b, err, fault.Refused)
		})
	}
	bubble(t, []*hostile.Fault{hostile.Status(200, nil, `{"tags":null,"repositories":null,"errors":[]}`)}, func(b *bench) {
		if got, err := b.tags(); err != nil || len(got) != 0 {
			b.Errorf("%v, %v", got, err)
		}
		if got, err := b.repositories(); err != nil || len(got) != 0 {
			b.Errorf("%v, %v", got, err)
		}
	})
}

func TestF39APageThatIsCompressedUnaskedIsRead(t *testing.T) {
	var raw bytes.Buffer
	z := gzip.NewWriter(&raw)
	_, _ = io.WriteString(z, `{"tags":["v1","v2"],"repositories":["app"]}`)
	must(t, z.Close())
	whole := raw.String()
	for body, ok := range map[string]bool{whole: true, "\ufeff" + `{"tags":["v1","v2"],"repositories":["app"]}`: true, whole[:len(whole)-20]: false} {
		h := http.Header{"Content-Encoding": {"gzip"}}
		bubble(t, []*hostile.Fault{hostile.Status(200, h, body)}, func(b *bench) {
			got, err := b.tags()
			if ok != slices.Equal(got, []string{"v1", "v2"}) || ok != (err == nil) {
				b.Errorf("%v, %v", got, err)
			}
			if got, err := b.repositories(); ok != (err == nil) || len(got) > 1 {
				b.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestF39AListWithAnEntryThatIsNoStringIsNoList(t *testing.T) {
	for entry, found := range map[string]string{
		`{"name":"v1"}`: "an object", `["v1"]`: "an array", `7`: "the value 7", `null`: "the value null", `true`: "the value true",
	} {
		for _, before := range []string{"", `"v1",`} {
			page := fmt.Sprintf(`{"tags":[%[1]s%[2]s],"repositories":[%[1]s%[2]s]}`, before, entry)
			bubble(t, []*hostile.Fault{hostile.Status(200, nil, page)}, func(b *bench) {
				_, err := b.tags()
				_, err2 := b.repositories()
				for _, err := range []error{err, err2} {
					wantKind(b, err, fault.Refused)
					if err != nil && !strings.Contains(err.Error(), found+", not a string") {
						b.Errorf("%v", err)
					}
				}
			})
		}
	}
}

// A page of a round length is doubted. A registry that refuses the request for more names has no more.
func TestF38AListIsCompleteWhereTheRequestForMoreIsRefused(t *testing.T) {
	for _, code := range []int{400, 404, 405, 501} {
		names := map[string][]string{"_catalog": numbered(20), "app": numbered(20), "other": numbered(10)}
		cutter{size: 1000, refuseMore: code, names: names}.in(t, func(b *bench) {
			for range 2 {
				b.lists("app", 20)
				b.lists("other", 10)
			}
			if got, err := b.repositories(); err != nil || len(got) != 20 {
				b.Errorf("%d: %d repositories, %v", code, len(got), err)
			}
		})
		names = map[string][]string{"app": numbered(1000)} // as many as requested, so that there are more
		cutter{size: 1000, refuseMore: code, names: names}.in(t, func(b *bench) {
			if _, err := b.tags(); err == nil {
				b.Errorf("%d: a list of which only a part was read is no error", code)
			}
		})
	}
	cutter{size: 1000, refuseMore: 403, names: map[string][]string{"app": numbered(20)}}.in(t, func(b *bench) {
		_, err := b.tags()
		wantKind(b, err, fault.Denied)
	})
}

func TestF39APageOfImpossibleNamesIsNotTheLastOne(t *testing.T) {
	names := numbered(1005)
	for i := range 1000 {
		names[i] = fmt.Sprintf(".%04d", i)
	}
	cutter{size: 1000, names: map[string][]string{"app": names}}.in(t, func(b *bench) {
		if got := b.tagsOf("app"); len(got) != 5 {
			b.Errorf("%d tags", len(got))
		}
		if notes := b.events.of(event.Noted); len(notes) != 1 || notes[0].Count != 1000 {
			b.Errorf("%v", notes)
		}
	})
}

func TestF39ImpossibleNamesAreCountedAndNamed(t *testing.T) {
	page := `{"tags":["b","a b","b","sha256:1",""],"repositories":["app","APP","a//b"]}`
	bubble(t, []*hostile.Fault{hostile.Status(200, nil, page)}, func(b *bench) {
		got, err := b.tags()
		must(b, err)
		paths, err := b.repositories()
		must(b, err)
		if !slices.Equal(got, []string{"b"}) || !slices.Equal(paths, []string{"app"}) {
			b.Errorf("%v %v", got, paths)
		}
		notes := b.events.of(event.Noted)
		if len(notes) != 2 {
			b.Fatalf("%v", notes)
		}
		for i, want := range []string{`tags of ` + b.r.Host + `/app has`, `repositories of ` + b.r.Host + ` has`} {
			if !strings.Contains(notes[i].Text, want) {
				b.Errorf("%s", notes[i].Text)
			}
		}
		if n := notes[0]; n.Count != 3 || !strings.HasSuffix(n.Text, `: 3: "a b", "sha256:1", ""`) {
			b.Errorf("%d: %s", n.Count, n.Text)
		}
		if n := notes[1]; n.Count != 2 || !strings.HasSuffix(n.Text, `: 2: "APP", "a//b"`) {
			b.Errorf("%d: %s", n.Count, n.Text)
		}
	})
}

func TestF38AListOfTheRegistrysOwnThatIsCutIsContinued(t *testing.T) {
	for name, tt := range map[string]struct {
		host, kind string
		rows       int
	}{"acr": {"reg.azurecr.io", "", 1000}, "harbor": {"harbor.example.com", "harbor", 100}} {
		t.Run(name, func(t *testing.T) {
			shelf := shelf(t, "team/app", tt.rows+50)
			shelf.Page = tt.rows
			stub := shelf.ACR
			if name == "harbor" {
				stub = shelf.Harbor
			}
			nolink := hostile.Header("Link", "")
			r := open(t, func(next http.Handler) http.Handler { return hostile.Wrap(stub(next), nolink) }, http.NotFoundHandler())
			s := visit(t, tt.host+"/team/app", map[string]*testbed.Registry{tt.host: r}, kind(tt.host, tt.kind))
			s.wantTags(shelf)
			s.notes(0)
		})
	}
}

func TestF39AnAnswerThatIsNoListOfTheRegistrysOwnFallsBack(t *testing.T) {
	r := open(t, func(next http.Handler) http.Handler {
		return hostile.Wrap(next, hostile.Status(200, nil, `{}`).On("", testbed.Own))
	}, plain(t))
	s := visit(t, "reg.azurecr.io/team/app", map[string]*testbed.Registry{"reg.azurecr.io": r})
	if got, err := s.list(); err != nil || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
	s.notes(1)
}
