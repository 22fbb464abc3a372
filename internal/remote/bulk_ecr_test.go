package remote_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/oci"
)

// aws configures ECR's API at url, with credentials given as pairs of a variable and its value.
func aws(url string, pairs ...string) func(*remote.Options) {
	env := map[string]string{"AWS_ENDPOINT_URL_ECR": url, "AWS_EC2_METADATA_DISABLED": "true"}
	for p := range slices.Chunk(pairs, 2) {
		env[p[0]] = p[1]
	}
	return func(o *remote.Options) {
		o.ECR = credential.ECR{Cloud: credential.Cloud{Env: func(k string) string { return env[k] }}}.Repositories()
	}
}

var awsKeys = []string{"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", "canary"}

// visitECR opens team/app at the ECR registry r, whose API lists the shelf.
func visitECR(t *testing.T, shelf *beside.Shelf, r *testbed.Registry, keys ...string) (*shop, *testbed.Registry) {
	t.Helper()
	api := testbed.Serve(t, shelf.ECR(ecrName), testbed.Options{})
	return visit(t, ecrName+"/team/app", map[string]*testbed.Registry{ecrName: r}, aws(api.URL, keys...)), api
}

func (s *shop) tells(host string, want bool) {
	s.Helper()
	if tells, complete := s.client.ListsDigests(host); tells != want || complete != want {
		s.Errorf("%s: %v, %v", host, tells, complete)
	}
}

func TestAThousandTagsOfECRAreOneSignedRequest(t *testing.T) {
	shelf := shelf(t, "team/app", 1000)
	r := open(t, func(h http.Handler) http.Handler { return h }, http.NotFoundHandler())
	s, api := visitECR(t, shelf, r, awsKeys...)
	s.tells(ecrName, true)
	s.wantTags(shelf)
	if api.Requests() != 1 || r.Requests() != 0 {
		t.Errorf("%s\n%s", api.Story(), r.Story())
	}
	got, err := s.list()
	must(t, err)
	if d := got[7].Descriptor; d.MediaType != oci.TypeManifest || d.Size != 0 {
		t.Errorf("%+v", d)
	}
	s.notes(0)
	s.tells(ecrName, true)
}

func TestECRsManifestsComeWithThoseThatHaveNoTag(t *testing.T) {
	shelf := shelf(t, "team/app", 25)
	shelf.Rows = append(shelf.Rows, beside.Row{Digest: sum(500), Tags: []string{"w1", "w2"}}, beside.Row{Digest: sum(501), MediaType: oci.TypeIndex, Size: 77})
	shelf.Page = 10
	r := open(t, func(h http.Handler) http.Handler { return h }, http.NotFoundHandler())
	s, api := visitECR(t, shelf, r, awsKeys...)
	s.wantTags(shelf)
	got, err := s.manifests()
	must(t, err)
	if len(got) != 27 || !slices.Equal(got[25].Tags, []string{"w1", "w2"}) {
		t.Fatalf("%+v", got)
	}
	if m := got[26]; string(m.Digest) != sum(501) || len(m.Tags) != 0 || m.MediaType != oci.TypeIndex || m.Size != 0 || m.Total != 77 || !m.Updated.Equal(beside.Shelved) {
		t.Errorf("%+v", m)
	}
	if api.Requests() != 6 || r.Requests() != 0 {
		t.Errorf("%s\n%s", api.Story(), r.Story())
	}
	stop := errors.New("enough")
	if err := s.repo.Manifests(t.Context(), func(remote.Manifest) error { return stop }); err != stop || api.Requests() != 7 { //nolint:errorlint // the very same
		t.Errorf("%v\n%s", err, api.Story())
	}
	s.notes(0)
}

func TestTroubleWithECRsListFallsBackOnceAndSaysSo(t *testing.T) {
	says := func(status int, text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			io.WriteString(w, text)
			return true
		}
	}
	for name, tt := range map[string]struct {
		keys  []string
		each  func(http.ResponseWriter, *http.Request) bool
		asked int
	}{
		"no AWS credentials": {nil, nil, 0},
		"no right":           {awsKeys, says(400, `{"__type":"AccessDeniedException","message":"not authorized to perform: ecr:DescribeImages"}`), 1},
		"expired keys":       {awsKeys, says(400, `{"__type":"ExpiredTokenException"}`), 1},
		"no JSON":            {awsKeys, says(200, `<html>`), 1},
		"cut off":            {awsKeys, func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, 1},
		"round and round":    {awsKeys, says(200, `{"imageDetails":[],"nextToken":"again"}`), 2},
	} {
		t.Run(name, func(t *testing.T) {
			shelf := shelf(t, "team/app", 3)
			shelf.Each = tt.each
			r := open(t, func(h http.Handler) http.Handler { return h }, plain(t))
			s, api := visitECR(t, shelf, r, tt.keys...)
			for range 2 {
				got, err := s.list()
				must(t, err)
				if len(got) != 3 || got[0].Tag != "v1" || got[0].Descriptor.Digest != "" {
					t.Errorf("listed %v", got)
				}
			}
			if api.Requests() != tt.asked || r.Count("GET", testbed.Tags) != 2 || r.Requests() != 2 {
				t.Errorf("%s\n%s", api.Story(), r.Story())
			}
			s.notes(1)
			s.tells(ecrName, false)
		})
	}
}

func TestARepositoryThatECRLacksIsNotFoundAndNoTroubleOfTheList(t *testing.T) {
	shelf := shelf(t, "team/other", 3)
	r := open(t, func(h http.Handler) http.Handler { return h }, plain(t))
	s, api := visitECR(t, shelf, r, awsKeys...)
	_, err := s.list()
	wantKind(t, err, fault.NotFound)
	if want := fmt.Sprintf("list images of %s/team/app", ecrName); err == nil || err.Error()[:len(want)] != want {
		t.Error(err)
	}
	if api.Requests() != 1 || r.Requests() != 0 {
		t.Errorf("%s\n%s", api.Story(), r.Story())
	}
	s.notes(0)
	s.tells(ecrName, true)
}

func TestECRsPublicRegistryAndOthersOfItsKindListTagsOnly(t *testing.T) {
	for _, host := range []string{"public.ecr.aws", "ecr.example.com"} {
		r := open(t, func(h http.Handler) http.Handler { return h }, plain(t))
		s := visit(t, host+"/team/app", map[string]*testbed.Registry{host: r}, kind(host, "ecr"), aws("http://127.0.0.1:1", awsKeys...))
		s.tells(host, false)
		got, err := s.list()
		must(t, err)
		if len(got) != 3 || r.Requests() != 1 {
			t.Errorf("%v\n%s", got, r.Story())
		}
		s.notes(0)
	}
}
