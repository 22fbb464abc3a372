package remote_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

func (b *bench) tags() ([]string, error) {
	var all []string
	err := b.repo.List(b.Context(), func(l oci.Listed) error { all = append(all, l.Tag); return nil })
	return all, err
}

func TestTagsAreReadPageByPage(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		doc := b.document()
		want := make([]string, 2300)
		for i := range want {
			want[i] = fmt.Sprintf("v%04d", i)
			b.r.Manifest(b, "app", want[i], doc.MediaType, doc.Raw)
		}
		got, err := b.tags()
		must(b, err)
		if !slices.Equal(got, want) {
			b.Errorf("%d tags", len(got))
		}
		b.count("GET", testbed.Tags, 3)
	})
}

func TestAByteOrderMarkBeforeAnswersIsPassedOver(t *testing.T) {
	marked := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if kind := testbed.Parse(r.URL.Path).Kind; kind != testbed.Manifest && kind != testbed.Blob && r.Method == "GET" {
				w = &marker{ResponseWriter: w}
			}
			next.ServeHTTP(w, r)
		})
	}
	bubble(t, nil, func(b *bench) {
		b.another("v1")
		got, err := b.tags()
		must(b, err)
		var all []string
		must(b, b.client.Repositories(b.Context(), b.r.Host, remote.Use{}, func(path string) error { all = append(all, path); return nil }))
		if !slices.Equal(got, []string{"v1"}) || !slices.Equal(all, []string{"app"}) || b.r.Issuer.Issued() != 2 {
			b.Errorf("tags %v, repositories %v, %d tokens", got, all, b.r.Issuer.Issued())
		}
	}, auth(testbed.Auth{Mode: testbed.Bearer}), func(s *testbed.Options, _ *remote.Options) { s.Front = marked })
}

// marker writes a byte order mark before a body.
type marker struct {
	http.ResponseWriter
	begun bool
}

func (m *marker) WriteHeader(status int) {
	m.Header().Del("Content-Length")
	m.ResponseWriter.WriteHeader(status)
}

func (m *marker) Write(p []byte) (int, error) {
	if !m.begun {
		m.begun = true
		m.Header().Del("Content-Length")
		if _, err := io.WriteString(m.ResponseWriter, "\ufeff"); err != nil {
			return 0, err
		}
	}
	return m.ResponseWriter.Write(p)
}

func TestF38AFullPageWithoutLinkIsFollowedByItsLastName(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Header("Link", "").On("GET", testbed.Tags)}, func(b *bench) {
		doc := b.document()
		for i := range 1005 {
			b.r.Manifest(b, "app", fmt.Sprintf("v%04d", i), doc.MediaType, doc.Raw)
		}
		got, err := b.tags()
		must(b, err)
		if len(got) != 1005 {
			b.Errorf("%d tags", len(got))
		}
	})
}

func TestF37ALinkThatGoesNowhereNewEnds(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{
		"to itself": hostile.LinkSelf(), "to the start": hostile.LinkTo("/v2/app/tags/list?n=1000"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f}, func(b *bench) {
				b.another("v1")
				_, err := b.tags()
				wantKind(b, err, fault.Refused)
				if b.r.Requests() > 3 {
					b.Errorf("%d requests", b.r.Requests())
				}
			})
		})
	}
	n := 0
	grows := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Link", fmt.Sprintf(`</v2/app/tags/list?n=1000&last=%d>; rel="next"`, n))
			_, _ = io.WriteString(w, `{"tags":["a"]}`)
		})
	}
	bubble(t, nil, func(b *bench) {
		_, err := b.tags()
		wantKind(b, err, fault.Refused)
	}, func(s *testbed.Options, _ *remote.Options) { s.Front = grows })
}

func TestF39OddNamesAreLeftOut(t *testing.T) {
	page := `{"name":"app","child":[["x"]],"manifest":{"sha256:1":{"tag":["y"]}},"tags":["b","a","b","../x","","c"],"next":"d"}`
	bubble(t, []*hostile.Fault{hostile.Status(200, nil, page).On("GET", testbed.Tags)}, func(b *bench) {
		got, err := b.tags()
		must(b, err)
		if !slices.Equal(got, []string{"b", "a", "c"}) {
			b.Errorf("%v", got)
		}
	})
	bubble(t, []*hostile.Fault{hostile.Status(200, nil, `{"tags":null}`).On("GET", testbed.Tags)}, func(b *bench) {
		if got, err := b.tags(); err != nil || len(got) != 0 {
			b.Errorf("%v, %v", got, err)
		}
	})
}

func TestF40APageWithoutEndIsRefused(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.HugePage(80 * mib)}, func(b *bench) {
		got, err := b.tags()
		wantKind(b, err, fault.TooLarge)
		if len(got) != 0 {
			b.Errorf("%d tags were visited", len(got))
		}
	})
}

func TestF02APageThatIsCutIsReadAnewAndShownOnce(t *testing.T) {
	for _, at := range []int64{0, 30} {
		bubble(t, []*hostile.Fault{hostile.CutBodyAt(at).On("GET", testbed.Tags).Once()}, func(b *bench) {
			for _, tag := range []string{"v1", "v2", "v3"} {
				b.another(tag)
			}
			got, err := b.tags()
			must(b, err)
			if !slices.Equal(got, []string{"v1", "v2", "v3"}) {
				b.Errorf("%v", got)
			}
			b.count("GET", testbed.Tags, 2)
		})
	}
	for _, body := range []string{"", "[]", "{", `{"tags":7}`, `{"tags":["a"`} {
		bubble(t, []*hostile.Fault{hostile.Status(200, nil, body).On("GET", testbed.Tags)}, func(b *bench) {
			_, err := b.tags()
			wantKind(b, err, fault.Refused)
			b.count("GET", testbed.Tags, 1)
		})
	}
}

func TestAnErrorOfTheVisitorEndsTheList(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		b.another("v1")
		stop := errors.New("enough")
		if err := b.repo.List(b.Context(), func(oci.Listed) error { return stop }); err != stop { //nolint:errorlint // the very same
			b.Error(err)
		}
	})
}

func TestF41TheListOfRepositoriesMayBeMissing(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		b.another("v1")
		var all []string
		must(b, b.client.Repositories(b.Context(), b.r.Host, remote.Use{}, func(path string) error { all = append(all, path); return nil }))
		if !slices.Equal(all, []string{"app"}) {
			b.Errorf("%v", all)
		}
	})
	for _, code := range []int{401, 403, 404, 405} {
		bubble(t, []*hostile.Fault{hostile.Status(code, nil, "")}, func(b *bench) {
			err := b.client.Repositories(b.Context(), b.r.Host, remote.Use{}, func(string) error { return nil })
			if err == nil || !strings.Contains(fault.HintOf(err), "name the repositories") {
				b.Errorf("%d: %v", code, err)
			}
		})
	}
}
