package remote_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestF66AMountThatIsConfirmedForNothingIsFoundAndNoneIsBelievedAfterThat(t *testing.T) {
	for name, likely := range map[string]string{"from another repository": "base", "from the repository itself": ""} {
		t.Run(name, func(t *testing.T) {
			lie := hostile.MountAnswers(http.StatusCreated)
			bubble(t, []*hostile.Fault{lie}, func(b *bench) {
				to := b.client.Open(repo(b.r, "app"), remote.Use{Actions: remote.Push, Writing: always})
				var from []ref.Repo
				if likely != "" {
					from = []ref.Repo{repo(b.r, likely)}
				}
				for i := range uint64(3) {
					data, d := noise(b, i, mib)
					b.r.Blob(b, "base", d.MediaType, data)
					a, err := to.Put(b.Context(), d, from, opener(data))
					must(b, err)
					if a.Way != oci.Sent {
						b.Errorf("%d: %+v", i, a)
					}
				}
				b.count("PUT", testbed.Upload, 3)
				if lie.Fired() != 1 {
					b.Errorf("%d mounts", lie.Fired())
				}
			})
		})
	}
}

func TestF66AMountFromTheRepositoryItselfIsLookedAfterUntilOneIsRefused(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.MountAnswers(http.StatusCreated)}, func(b *bench) {
		to := b.client.Open(repo(b.r, "app"), remote.Use{Actions: remote.Push, Writing: always})
		for i, way := range []oci.Way{oci.Present, oci.Present, oci.Sent} {
			data, d := noise(b, uint64(i), mib)
			if way == oci.Present {
				b.r.Blob(b, "app", d.MediaType, data)
			}
			a, err := to.Put(b.Context(), d, nil, opener(data))
			must(b, err)
			if a.Way != way {
				b.Errorf("%d: %+v, want %s", i, a, way)
			}
		}
	})
}

func TestF74ABlobThatIsConfirmedAndIsNotThereIsCorrupt(t *testing.T) {
	for _, code := range []int{http.StatusCreated, http.StatusNoContent, http.StatusOK} {
		bubble(t, []*hostile.Fault{hostile.Status(code, nil, "").On("PUT", testbed.Upload)}, func(b *bench) {
			data, d := noise(b, 1, mib)
			_, err := b.repo.Put(b.Context(), d, nil, opener(data))
			wantKind(b, err, fault.Corrupt)
			if !strings.HasPrefix(err.Error(), "target: ") || !strings.Contains(err.Error(), "does not have the blob") {
				b.Errorf("%v", err)
			}
		})
	}
}

func TestF74AnUploadThatIsAnsweredWithAPageOrAnErrorIsRefused(t *testing.T) {
	for kind, body := range map[string]string{
		"text/html":        "<!doctype html><title>Sign in</title>",
		"application/json": `{"errors":[{"code":"UNKNOWN","message":"the disk is gone"}]}`,
	} {
		bubble(t, []*hostile.Fault{hostile.Status(http.StatusCreated, http.Header{"Content-Type": {kind}}, body).On("PUT", testbed.Upload)}, func(b *bench) {
			data, d := noise(b, 1, mib)
			_, err := b.repo.Put(b.Context(), d, nil, opener(data))
			wantKind(b, err, fault.Refused)
			_, err = b.repo.PutDocument(b.Context(), b.document(), "v1")
			must(b, err) // only uploads are answered like that
		})
	}
}

func TestF74WhereNoAnswerNamesADigestOneBlobIsLookedFor(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.NoDigestHeader().On("PUT", testbed.Upload)}, func(b *bench) {
		for i := range uint64(3) {
			data, d := noise(b, i, mib)
			if a, err := b.repo.Put(b.Context(), d, nil, opener(data)); err != nil || a.Way != oci.Sent {
				b.Errorf("%+v, %v", a, err)
			}
		}
		b.count("HEAD", testbed.Blob, 3+1) // each blob is looked for before it is sent, and one after that
		b.count("PUT", testbed.Upload, 3)
	})
}
