package hostile_test

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

func TestRawSendsWhatNeedNotBeHTTP(t *testing.T) {
	garbage := hostile.Raw("SSH-2.0-OpenSSH_9.2\r\n").Once()
	b := newBench(t, garbage)
	if resp, _, err := b.ask("GET", b.blob, nil, nil); err == nil {
		t.Errorf("answered %s", resp.Status)
	}
	fired(t, garbage, 1)
	twice := hostile.Raw("HTTP/1.1 204 No Content\r\nX-Raw: yes\r\n\r\n")
	b = newBench(t, twice)
	if resp, _ := b.must("GET", b.blob, nil, nil); resp.StatusCode != 204 || resp.Header.Get("X-Raw") != "yes" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	fired(t, twice, 1)
}

func TestInterimAnswersComeBeforeTheAnswer(t *testing.T) {
	f := hostile.Interim(103, 3)
	b := newBench(t, f)
	got := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if code == 103 {
				got++
			}
			return nil
		}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got != 3 || resp.StatusCode != 200 {
		t.Errorf("%d interim answers before %s", got, resp.Status)
	}
	fired(t, f, 1)
}

func TestDoneButHidesThatARequestHadItsEffect(t *testing.T) {
	f := hostile.DoneBut(502).On("DELETE", testbed.Manifest).Once()
	b := newBench(t, f)
	if resp, got := b.must("DELETE", "/v2/app/manifests/"+b.img.Digest(), nil, nil); resp.StatusCode != 502 || len(got) > 0 {
		t.Errorf("%s %q", resp.Status, got)
	}
	if resp, _ := b.must("GET", "/v2/app/manifests/"+b.img.Digest(), nil, nil); resp.StatusCode != 404 {
		t.Errorf("it is still there: %s", resp.Status)
	}
	fired(t, f, 1)
}

func TestEditRewritesABodyAndItsLength(t *testing.T) {
	f := hostile.Edit(func(body string) string { return strings.Replace(body, "v1", "v1\",\"v2", 1) }).On("GET", testbed.Tags)
	b := newBench(t, f)
	resp, got := b.must("GET", "/v2/app/tags/list", nil, nil)
	if resp.StatusCode != 200 || !strings.Contains(string(got), `["v1","v2"]`) || resp.ContentLength != int64(len(got)) {
		t.Errorf("%s %q %d", resp.Status, got, resp.ContentLength)
	}
	fired(t, f, 1)
}

func TestRedirectSelfLeadsToTheAddressThatWasAsked(t *testing.T) {
	f := hostile.RedirectSelf(307).Once()
	b := newBench(t, f)
	if resp, _ := b.must("GET", b.blob+"?a=b", nil, nil); resp.StatusCode != 307 || resp.Header.Get("Location") != b.blob+"?a=b" {
		t.Errorf("%s %s", resp.Status, resp.Header.Get("Location"))
	}
	fired(t, f, 1)
}
