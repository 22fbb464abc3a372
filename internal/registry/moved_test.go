package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/registry"
)

// ask sends a request from any goroutine and returns the status.
func (p *place) ask(method, path, body string) int {
	req, err := http.NewRequest(method, p.srv.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", v1.MediaTypeImageManifest)
	resp, err := p.srv.Client().Do(req)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A manifest is deleted by its digest while other clients move tags away from it, and set tags to it. Each tag that
// was set leads to a manifest that exists.
func TestADeletionByDigestAgreesWithTagsThatMoveMeanwhile(t *testing.T) {
	p := start(t, registry.Options{})
	text := func(mark string) string {
		raw, err := json.Marshal(p.image("app", mark))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	stays, goes := text("stays"), text("goes")
	deleted := "/v2/app/manifests/" + descriptor([]byte(goes)).Digest.String()
	const tags, rounds = 8, 6
	for range rounds {
		for i := range tags {
			if got := p.ask("PUT", fmt.Sprintf("/v2/app/manifests/away-%d", i), goes); got != 201 {
				t.Fatal(got)
			}
		}
		var all sync.WaitGroup
		all.Go(func() {
			if got := p.ask("DELETE", deleted, ""); got != 202 {
				t.Errorf("delete: %d", got)
			}
		})
		for i := range tags {
			for name, manifest := range map[string]string{"away": stays, "to": goes} {
				all.Go(func() {
					if got := p.ask("PUT", fmt.Sprintf("/v2/app/manifests/%s-%d", name, i), manifest); got != 201 {
						t.Errorf("put: %d", got)
					}
				})
			}
		}
		all.Wait()
		for i := range tags {
			if got := p.ask("GET", fmt.Sprintf("/v2/app/manifests/away-%d", i), ""); got != 200 {
				t.Fatalf("a tag that was moved away is gone: %d", got)
			}
		}
		var list struct{ Tags []string }
		if err := json.Unmarshal(p.do("GET", "/v2/app/tags/list", nil).want(200).body, &list); err != nil {
			t.Fatal(err)
		}
		for _, tag := range list.Tags {
			if got := p.ask("GET", "/v2/app/manifests/"+tag, ""); got != 200 {
				t.Fatalf("%s leads nowhere: %d", tag, got)
			}
		}
	}
	p.do("DELETE", "/v2/app/manifests/"+descriptor([]byte("none")).Digest.String(), nil).want(404)
}
