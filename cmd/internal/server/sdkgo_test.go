package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	registries "github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
	"github.com/opencontainers/go-digest"
)

// shown is a token of dray as a credential of Azure's SDKs.
type shown string

func (s shown) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// sdk has the clients of Azure's SDK for Go, and what they got.
type sdk struct {
	*testing.T
	*registries.Client
	blobs *registries.BlobClient
	repo  string
	got   map[string]any
}

func newSDK(t *testing.T, a *azure, repo string) *sdk {
	t.Helper()
	o := policy.ClientOptions{Transport: a.http, Retry: policy.RetryOptions{MaxRetries: -1}}
	c, err := registries.NewClient(a.base, shown(a.token), &registries.ClientOptions{ClientOptions: o})
	if err != nil {
		t.Fatal(err)
	}
	b, err := registries.NewBlobClient(a.base, shown(a.token), &registries.BlobClientOptions{ClientOptions: o})
	if err != nil {
		t.Fatal(err)
	}
	return &sdk{t, c, b, repo, map[string]any{}}
}

// status returns the status of a request that failed, or 0.
func (s *sdk) status(err error) int {
	s.Helper()
	var r *azcore.ResponseError
	switch {
	case errors.As(err, &r):
		return r.StatusCode
	case err != nil:
		s.Fatal(err)
	}
	return 0
}

// must returns v. It is for calls that must succeed.
func must[V any](s *sdk) func(V, error) V {
	return func(v V, err error) V {
		s.Helper()
		if err != nil {
			s.Fatal(err)
		}
		return v
	}
}

func (s *sdk) repositories() []string {
	names := []string{}
	for p := s.NewListRepositoriesPager(nil); p.More(); {
		for _, r := range must[registries.ClientListRepositoriesResponse](s)(p.NextPage(s.Context())).Names {
			if *r == s.repo {
				names = append(names, *r)
			}
		}
	}
	return names
}

func (s *sdk) tags(by registries.ArtifactTagOrderBy) (names []string) {
	for p := s.NewListTagsPager(s.repo, &registries.ClientListTagsOptions{OrderBy: &by, MaxNum: new(int32(2))}); p.More(); {
		for _, t := range must[registries.ClientListTagsResponse](s)(p.NextPage(s.Context())).Tags {
			names = append(names, *t.Name)
		}
	}
	return names
}

func (s *sdk) read() (first, second string) {
	s.got["repositories"] = s.repositories()
	p := must[registries.ClientGetRepositoryPropertiesResponse](s)(s.GetRepositoryProperties(s.Context(), s.repo, nil))
	s.got["counts"] = []any{*p.TagCount, *p.ManifestCount}
	s.got["times"] = !p.LastUpdatedOn.Before(*p.CreatedOn)
	s.got["newest first"], s.got["oldest first"] = s.tags(registries.ArtifactTagOrderByLastUpdatedOnDescending), s.tags(registries.ArtifactTagOrderByLastUpdatedOnAscending)
	untagged := 0
	for p := s.NewListManifestsPager(s.repo, &registries.ClientListManifestsOptions{MaxNum: new(int32(3))}); p.More(); {
		for _, m := range must[registries.ClientListManifestsResponse](s)(p.NextPage(s.Context())).Attributes {
			if len(m.Tags) == 0 {
				untagged++
			}
		}
	}
	s.got["untagged"] = untagged
	tag := must[registries.ClientGetTagPropertiesResponse](s)(s.GetTagProperties(s.Context(), s.repo, "v1", nil)).Tag
	m := must[registries.ClientGetManifestPropertiesResponse](s)(s.GetManifestProperties(s.Context(), s.repo, *tag.Digest, nil)).Manifest
	s.got["manifest"] = []any{*m.Architecture, *m.OperatingSystem, *m.Size > 0, []string{*m.Tags[0]}}
	s.got["tag"] = *m.Digest == *tag.Digest
	return *tag.Digest, *must[registries.ClientGetTagPropertiesResponse](s)(s.GetTagProperties(s.Context(), s.repo, "v2", nil)).Tag.Digest
}

func (s *sdk) deleteTag() int {
	_, err := s.DeleteTag(s.Context(), s.repo, "v1", nil)
	return s.status(err)
}

func (s *sdk) setTag(tag, second string) (string, int) {
	old := must[registries.ClientGetManifestResponse](s)(s.GetManifest(s.Context(), s.repo, second, &registries.ClientGetManifestOptions{Accept: new("*/*")}))
	raw := must[[]byte](s)(io.ReadAll(old.ManifestData))
	put, err := s.UploadManifest(s.Context(), s.repo, tag, registries.ContentTypeApplicationVndOciImageManifestV1JSON, &readSeeker{bytes.NewReader(raw)}, nil)
	if err != nil {
		return "", s.status(err)
	}
	return *put.DockerContentDigest, 0
}

type readSeeker struct{ *bytes.Reader }

func (readSeeker) Close() error { return nil }

func (s *sdk) lock(first, second string) {
	set := func(may bool) *registries.TagAttributes {
		o := &registries.ClientUpdateTagPropertiesOptions{Value: &registries.TagWriteableProperties{CanWrite: &may, CanDelete: &may}}
		return must[registries.ClientUpdateTagPropertiesResponse](s)(s.UpdateTagProperties(s.Context(), s.repo, "v1", o)).Tag
	}
	a := set(false).ChangeableAttributes
	s.got["locked"] = []bool{*a.CanWrite, *a.CanDelete, *a.CanRead}
	_, manifest := s.DeleteManifest(s.Context(), s.repo, first, nil)
	_, repository := s.DeleteRepository(s.Context(), s.repo, nil)
	s.got["delete what is locked"] = []int{s.deleteTag(), s.status(manifest), s.status(repository)}
	_, s.got["put over what is locked"] = s.setTag("v1", second)
	a = set(true).ChangeableAttributes
	s.got["unlocked"] = []bool{*a.CanWrite, *a.CanDelete}
	whole := func(may bool) bool {
		o := &registries.ClientUpdateRepositoryPropertiesOptions{Value: &registries.RepositoryWriteableProperties{CanDelete: &may}}
		return *must[registries.ClientUpdateRepositoryPropertiesResponse](s)(s.UpdateRepositoryProperties(s.Context(), s.repo, o)).ChangeableAttributes.CanDelete
	}
	s.got["repository"] = whole(false)
	s.got["delete in a locked repository"] = s.deleteTag()
	whole(true)
	one := func(may bool) bool {
		o := &registries.ClientUpdateManifestPropertiesOptions{Value: &registries.ManifestWriteableProperties{CanDelete: &may}}
		return *must[registries.ClientUpdateManifestPropertiesResponse](s)(s.UpdateManifestProperties(s.Context(), s.repo, first, o)).Manifest.ChangeableAttributes.CanDelete
	}
	s.got["manifest locked"] = one(false)
	one(true)
}

func (s *sdk) blob() {
	data := bytes.Repeat([]byte("dray"), 1000)
	sum := digest.FromBytes(data).String()
	begun := must[registries.BlobClientStartUploadResponse](s)(s.blobs.StartUpload(s.Context(), s.repo, nil))
	calculator := registries.NewBlobDigestCalculator()
	sent := must[registries.BlobClientUploadChunkResponse](s)(s.blobs.UploadChunk(s.Context(), *begun.Location, bytes.NewReader(data), calculator, nil))
	done := must[registries.BlobClientCompleteUploadResponse](s)(s.blobs.CompleteUpload(s.Context(), *sent.Location, calculator, nil))
	back := must[registries.BlobClientGetBlobResponse](s)(s.blobs.GetBlob(s.Context(), s.repo, sum, nil))
	raw := must[[]byte](s)(io.ReadAll(back.BlobData))
	s.got["blob"] = []any{len(raw), *done.DockerContentDigest == sum, bytes.Equal(raw, data)}
	must[registries.BlobClientDeleteBlobResponse](s)(s.blobs.DeleteBlob(s.Context(), s.repo, sum, nil))
}

func (s *sdk) remove(first, second string) {
	copied, _ := s.setTag("copy", second)
	s.got["copy"] = copied == second
	must[registries.ClientDeleteTagResponse](s)(s.DeleteTag(s.Context(), s.repo, "copy", nil))
	_, tag := s.GetTagProperties(s.Context(), s.repo, "copy", nil)
	_, manifest := s.GetManifestProperties(s.Context(), s.repo, second, nil)
	s.got["after delete_tag"] = []int{s.status(tag), s.status(manifest)}
	must[registries.ClientDeleteManifestResponse](s)(s.DeleteManifest(s.Context(), s.repo, first, nil))
	_, err := s.GetTagProperties(s.Context(), s.repo, "v1", nil)
	s.got["after delete_manifest"] = s.status(err)
	must[registries.ClientDeleteRepositoryResponse](s)(s.DeleteRepository(s.Context(), s.repo, nil))
	_, err = s.GetRepositoryProperties(s.Context(), s.repo, nil)
	s.got["after delete_repository"] = []any{s.status(err), s.repositories()}
}

func (s *sdk) anonymous(a *azure) {
	c, err := registries.NewClient(a.base, nil, &registries.ClientOptions{ClientOptions: policy.ClientOptions{Transport: a.http}})
	if err != nil {
		s.Fatal(err)
	}
	nobody := &sdk{s.T, c, nil, "public/app", nil}
	s.got["anonymous"] = []any{nobody.tags(registries.ArtifactTagOrderByNone), nobody.deleteTag()}
}

func TestAzuresGoSDKReadsLocksAndDeletes(t *testing.T) {
	t.Parallel()
	a := newAzure(t, nil)
	a.fill(t)
	s := newSDK(t, a, "sdk/app")
	first, second := s.read()
	s.lock(first, second)
	s.blob()
	s.remove(first, second)
	s.anonymous(a)
	var want map[string]any
	if err := json.Unmarshal([]byte(wanted), &want); err != nil {
		t.Fatal(err)
	}
	for key := range want {
		if g, w := fmt.Sprint(s.got[key]), fmt.Sprint(want[key]); g != w {
			t.Errorf("%s: %s, want %s", key, g, w)
		}
	}
}
