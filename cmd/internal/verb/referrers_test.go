package verb_test

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Each verb takes the choice of its request, and without one that of the server's configuration.
func TestARequestChoosesWhatTravelsWithAnImage(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	dst := testbed.Distribution(t, testbed.Options{})
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	sbom := testbed.Artifact(t, src, "app", "", img.Root)
	var n atomic.Int64
	none, some := wire.Referrers{Mode: "false"}, wire.Referrers{Types: []string{testbed.ArtifactType}}
	for name, tt := range map[string]struct {
		server, said wire.Referrers
		arrives      bool
	}{
		"by default":                {wire.Referrers{}, wire.Referrers{}, true},
		"none by the request":       {wire.Referrers{}, none, false},
		"none by the configuration": {none, wire.Referrers{}, false},
		"the request decides":       {none, wire.Referrers{Mode: "true"}, true},
		"of a type":                 {none, some, true},
		"of another type":           {wire.Referrers{}, wire.Referrers{Types: []string{"a/b"}}, false},
		"with another annotation":   {wire.Referrers{}, wire.Referrers{Annotations: map[string]string{"a": "b"}}, false},
	} {
		for kind, request := range map[string]func(to string) wire.Request{
			wire.KindImport: func(to string) wire.Request {
				return wire.Request{Import: &wire.Import{Source: "src/app:v1", Target: "dst", Images: []string{to + ":v1"}, Referrers: tt.said}}
			},
			wire.KindCopy: func(to string) wire.Request {
				return wire.Request{Copy: &wire.Copy{Source: "src/app:v1", Targets: []string{"dst/" + to}, Referrers: tt.said}}
			},
			wire.KindBatch: func(to string) wire.Request {
				return wire.Request{Batch: &wire.Batch{
					Entries: []wire.BatchEntry{{Source: "src/app:v1", Targets: []string{"dst/" + to}}}, Referrers: tt.said}}
			},
			wire.KindTransfer: func(to string) wire.Request {
				r := transfer("dst/"+to, "src/app")
				r.Transfer.Referrers, r.Transfer.Selection.IncludeTags = tt.said, []string{"v1"}
				return r
			},
		} {
			t.Run(name+": "+kind, func(t *testing.T) {
				c := between(src, dst)
				c.Referrers = plan.Referrers{Mode: plan.ReferrerMode(tt.server.Mode)}
				h := newFixture(t, c, access.Rule{
					Principals: []string{"*"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: access.Rights})
				to := "r" + strconv.FormatInt(n.Add(1), 10)
				r := request(to)
				r.Kind = kind
				if _, _, err := h.service.Submit(t.Context(), ann, r, ""); err != nil {
					t.Fatal(err)
				}
				if j := h.runOne(t, h.service); j.State != job.Done {
					t.Fatalf("%s %+v", j.State, j.Failure)
				}
				resp := dst.Direct(t, http.MethodHead, "/v2/"+to+"/manifests/"+sbom.Digest(), http.Header{"Accept": oci.Accept}, nil, nil)
				if arrived := resp.StatusCode == http.StatusOK; arrived != tt.arrives {
					t.Errorf("arrived: %v", arrived)
				}
			})
		}
	}
}

func TestARequestWithAnUnknownChoiceOfReferrersIsRefused(t *testing.T) {
	h := newFixture(t, dray.Config{}, access.Rule{
		Principals: []string{"*"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: access.Rights})
	bad := wire.Referrers{Mode: "some"}
	for _, r := range []wire.Request{
		{Kind: wire.KindImport, Import: &wire.Import{Source: "a.example/x:1", Target: "b.example", Referrers: bad}},
		{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "a.example/x:1", Targets: []string{"b.example/x:1"}, Referrers: bad}},
		{Kind: wire.KindBatch, Batch: &wire.Batch{Entries: []wire.BatchEntry{{Source: "a.example/x:1", Targets: []string{"b.example/x:1"}}}, Referrers: bad}},
		{Kind: wire.KindTransfer, Transfer: &wire.Transfer{Ends: wire.Ends{Sources: []string{"a.example"}, Target: "b.example", Referrers: bad}}},
		{Kind: wire.KindVerify, Verify: &wire.Verify{Ends: wire.Ends{Sources: []string{"a.example"}, Target: "b.example", Referrers: bad}}},
	} {
		if _, _, err := h.service.Submit(t.Context(), ann, r, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", r.Kind, err)
		}
	}
}
