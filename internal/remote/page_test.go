package remote_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

const signInPage = "\n<!doctype html><html><title>Sign in</title>" +
	"<p>This network asks you to sign in before you go on.</p></html>"

// everyRequest calls every method that sends requests, and returns the errors by name.
func (b *bench) everyRequest(doc oci.Document, data []byte, d oci.Descriptor) map[string]error {
	b.Helper()
	ctx := b.Context()
	errs := map[string]error{}
	_, errs["resolve"] = b.repo.Resolve(ctx, "v1")
	_, errs["document"] = b.repo.Document(ctx, "v1")
	_, _, errs["blob"] = b.read(d, 0, -1)
	_, _, errs["part of a blob"] = b.read(d, 10, 10)
	_, errs["ranges"] = b.repo.Ranges(ctx, d)
	errs["tags"] = b.repo.List(ctx, func(oci.Listed) error { return nil })
	errs["catalog"] = b.client.Repositories(ctx, b.r.Host, remote.Use{}, func(string) error { return nil })
	_, errs["missing"] = b.repo.Missing(ctx, []oci.Descriptor{d})
	_, errs["prove"] = b.repo.Prove(ctx, []oci.Descriptor{d})
	_, errs["put"] = b.repo.Put(ctx, d, nil, opener(data))
	_, errs["put document"] = b.repo.PutDocument(ctx, doc, "v2")
	_, errs["try push"] = b.repo.TryPush(ctx)
	errs["delete"] = b.repo.Delete(ctx, string(d.Digest))
	_, errs["contact"] = b.client.Contact(ctx, b.r.Host, b.events.watch())
	return errs
}

func TestF96AWebPageInPlaceOfAnythingIsNamed(t *testing.T) {
	raw, _ := packed(t, []byte(signInPage))
	zipped := string(raw)
	long := strings.Replace(signInPage, "</html>", strings.Repeat("<br>", 2*mib/4)+"</html>", 1)
	for name, f := range map[string]*hostile.Fault{
		"html":         hostile.Status(200, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, signInPage),
		"long":         hostile.Status(200, http.Header{"Content-Type": {"text/html"}}, long),
		"a mark first": hostile.Status(200, http.Header{"Content-Type": {"text/html"}}, "\ufeff"+signInPage),
		"encoded": hostile.Status(200, http.Header{"Content-Type": {"text/html"}, "Content-Encoding": {"br"}},
			"\x0b\x02\x80hello\x03"),
		"compressed":     hostile.Status(200, http.Header{"Content-Type": {"text/html"}, "Content-Encoding": {"gzip"}}, zipped),
		"captive portal": hostile.Status(511, http.Header{"Content-Type": {"text/html"}}, signInPage),
	} {
		t.Run(name, func(t *testing.T) {
			shown := false
			bubble(t, []*hostile.Fault{f.When(func(*http.Request) bool { return shown })}, func(b *bench) {
				data, d := b.store(1, mib)
				doc := b.document()
				shown = true
				d.MediaType = "application/vnd.oci.image.layer.v1.tar"
				for of, err := range b.everyRequest(doc, data, d) {
					if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(),
						"a web page of "+b.r.Host+" answers: a sign-in, a captive portal, not a registry") {
						b.Errorf("%s: %v", of, err)
					}
				}
				if n := b.r.Requests(); n > 20 {
					b.Errorf("%d requests", n)
				}
			})
		})
	}
}

func TestF96APageBehindARedirectAndOneWithoutATypeAreNamed(t *testing.T) {
	elsewhere := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, signInPage)
	}), testbed.Options{})
	r := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}),
		hostile.RedirectTo(elsewhere.URL+"/signin", 302).On(http.MethodGet, ""),
		hostile.RedirectTo(elsewhere.URL+"/signin", 302).On(http.MethodHead, ""))
	_, d := noise(t, 1, 100)
	at := client(t).Open(repo(r, "app"), remote.Use{})
	for of, ask := range map[string]func(context.Context) error{
		"resolve":  func(ctx context.Context) error { _, err := at.Resolve(ctx, "v1"); return err },
		"document": func(ctx context.Context) error { _, err := at.Document(ctx, "v1"); return err },
		"blob":     func(ctx context.Context) error { _, _, err := at.Blob(ctx, d, 0, -1); return err },
		"tags": func(ctx context.Context) error {
			return at.List(ctx, func(oci.Listed) error { return nil })
		},
	} {
		err := ask(t.Context())
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "a web page of "+elsewhere.Host+" answers") {
			t.Errorf("%s: %v", of, err)
		}
	}
}

// Not everything that is announced as a web page is one in place of something else.
func TestABlobThatIsAWebPageAndAnAnswerAnnouncedAsOneAreTaken(t *testing.T) {
	html := hostile.Header("Content-Type", "text/html; charset=utf-8")
	get := func(r *http.Request) bool { return r.Method == http.MethodGet }
	for name, more := range map[string][]*hostile.Fault{
		"plain":            nil,
		"left-over gzip":   {hostile.Header("Content-Encoding", "gzip").On("", "").When(get)},
		"left-over br":     {hostile.Header("Content-Encoding", "br").On("", "").When(get)},
		"really encoded":   {hostile.ContentEncoding("gzip").On("", "").When(get)},
		"encoded, deflate": {hostile.ContentEncoding("deflate").On("", "").When(get)},
	} {
		t.Run(name, func(t *testing.T) { bubble(t, append(more, html), takesWhatIsAnnouncedAsAPage) })
	}
}

func takesWhatIsAnnouncedAsAPage(b *bench) {
	b.Helper()
	d := oci.Descriptor{Digest: oci.Sum([]byte(signInPage)), Size: int64(len(signInPage)), MediaType: "text/html"}
	b.r.Blob(b, "app", "text/html", []byte(signInPage))
	got, _, err := b.read(d, 0, -1)
	must(b, err)
	if string(got) != signInPage {
		b.Errorf("%q", got)
	}
	got, from, err := b.read(d, 5, -1)
	must(b, err)
	if string(got) != signInPage[from:] {
		b.Errorf("%q", got)
	}
	missing, err := b.repo.Missing(b.Context(), []oci.Descriptor{d})
	if err != nil || len(missing) != 0 {
		b.Errorf("%v %v", missing, err)
	}
	testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
	must(b, b.repo.List(b.Context(), func(oci.Listed) error { return nil }))
	data, blob := noise(b, 7, 100)
	if _, err := b.send(data, blob); err != nil {
		b.Error(err)
	}
	// Quay answers GET /v2/ with the word true as text/html.
	if _, err := b.client.Contact(b.Context(), b.r.Host, b.events.watch()); err != nil {
		b.Error(err)
	}
}

// F-96: what stands before a registry answers for it.
func TestAWebPageWithAStatusIsNamed(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html"}}
	for status, verb := range map[int]string{403: "POST", 404: "GET"} {
		bubble(t, []*hostile.Fault{hostile.Status(status, html, signInPage).On(verb, "")}, func(b *bench) {
			var err error
			if verb == "GET" {
				err = b.repo.List(b.Context(), func(oci.Listed) error { return nil })
			} else {
				data, d := noise(b, 1, 1000)
				_, err = b.repo.Put(b.Context(), d, nil, opener(data))
			}
			if err == nil || !strings.Contains(err.Error(), "with a web page of "+b.r.Host) || strings.Contains(err.Error(), "no login was sent") || !strings.Contains(fault.HintOf(err), "the proxy") {
				b.Errorf("%d: %v, hint %q", status, err, fault.HintOf(err))
			}
		})
	}
}

func TestWhatARegistryDoesWronglyHasAHint(t *testing.T) {
	for name, c := range map[string]struct {
		header http.Header
		status int
		hint   string
	}{
		"another host": {http.Header{"Link": {`<https://other.example/v2/app/tags/list?last=a>; rel="next"`}}, 200, "X-Forwarded-Proto"},
		"repeats":      {http.Header{"Link": {`</v2/app/tags/list?n=1000>; rel="next"`}}, 200, "name what to copy"},
		"redirects":    {http.Header{"Location": {"/v2/app/tags/list"}}, 307, "that redirect"},
	} {
		c.header.Set("Content-Type", "application/json")
		bubble(t, []*hostile.Fault{hostile.Status(c.status, c.header, `{"name":"app","tags":["a"]}`)}, func(b *bench) {
			err := b.repo.List(b.Context(), func(oci.Listed) error { return nil })
			if !fault.Is(err, fault.Refused) || !strings.Contains(fault.HintOf(err), c.hint) {
				b.Errorf("%s: %v, hint %q", name, err, fault.HintOf(err))
			}
			if name == "redirects" && !strings.Contains(err.Error(), "the last one to "+b.r.Host) {
				b.Error(err)
			}
		})
	}
}
