package remote_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func proving(t *testing.T, faults ...*hostile.Fault) (*testbed.Registry, *remote.Repository, []oci.Descriptor) {
	t.Helper()
	reg := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), faults...)
	c, err := remote.New(remote.Options{Default: credential.Settings{PlainHTTP: true}, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	there := reg.Blob(t, "app", "application/octet-stream", []byte("there"))
	gone := oci.Descriptor{Digest: oci.Sum([]byte("gone")), Size: 4}
	reg.Reset()
	return reg, c.Open(ref.Repo{Host: reg.Host, Path: "app"}, remote.Use{Actions: remote.Push}), []oci.Descriptor{there, gone}
}

func bytesOf(s string) oci.Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(s)[at:])), nil
	}
}

func TestProvingAsksForEachBlobWhateverIsKnownAndNotTwice(t *testing.T) {
	reg, r, blobs := proving(t)
	if _, err := r.Put(t.Context(), blobs[1], nil, bytesOf("gone")); err != nil {
		t.Fatal(err)
	}
	reg.Direct(t, "DELETE", "/v2/app/blobs/"+string(blobs[1].Digest), nil, nil, nil)
	reg.Reset()
	for range 2 {
		lack, err := r.Prove(t.Context(), blobs)
		if err != nil || len(lack) != 1 || lack[0].Digest != blobs[1].Digest {
			t.Fatalf("%v, %v", lack, err)
		}
	}
	if n := reg.Count(http.MethodHead, testbed.Blob); n != 3 || reg.Requests() != 3 {
		t.Errorf("%d requests, want a HEAD for each and a second one for the missing blob\n%s", reg.Requests(), reg.Story())
	}
	if a, err := r.Put(t.Context(), blobs[1], nil, bytesOf("gone")); err != nil || a.Way != oci.Sent {
		t.Errorf("%+v, %v: the earlier knowledge about the blob is no longer true", a, err)
	}
	if lack, err := r.Prove(t.Context(), blobs); err != nil || len(lack) != 0 {
		t.Errorf("%v, %v", lack, err)
	}
}

func TestABlobOfAnotherSizeIsNotProven(t *testing.T) {
	_, r, blobs := proving(t, hostile.LyingHead(99))
	if lack, err := r.Prove(t.Context(), blobs); err != nil || len(lack) != 2 {
		t.Errorf("%v, %v", lack, err)
	}
}

func TestARegistryThatDoesNotAnswerProvesNothing(t *testing.T) {
	for code, kind := range map[int]fault.Kind{403: fault.Denied, 503: fault.Unavailable, 405: ""} {
		_, r, blobs := proving(t, hostile.Status(code, nil, "").On("", testbed.Blob))
		lack, err := r.Prove(t.Context(), blobs)
		if err == nil || kind != "" && !fault.Is(err, kind) {
			t.Errorf("%d: %v, %v", code, lack, err)
		}
	}
}

func TestADistrustedBlobIsSentAlthoughItIsThere(t *testing.T) {
	reg, r, blobs := proving(t)
	if _, err := r.Prove(t.Context(), blobs[:1]); err != nil {
		t.Fatal(err)
	}
	r.Distrust(blobs[:1])
	if lack, err := r.Prove(t.Context(), blobs[:1]); err != nil || len(lack) != 1 {
		t.Errorf("%v, %v: a HEAD cannot clear the doubt", lack, err)
	}
	other := ref.Repo{Host: reg.Host, Path: "other"}
	if a, err := r.Put(t.Context(), blobs[0], []ref.Repo{other}, bytesOf("there")); err != nil || a.Way != oci.Sent {
		t.Errorf("%+v, %v", a, err)
	}
	if lack, err := r.Prove(t.Context(), blobs[:1]); err != nil || len(lack) != 0 {
		t.Errorf("%v, %v", lack, err)
	}
	for _, q := range reg.Log() {
		if q.Method == http.MethodPost && strings.Contains(q.RawQuery, "mount=") {
			t.Error("the blob was to be mounted")
		}
	}
}
