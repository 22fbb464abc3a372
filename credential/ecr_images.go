package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// ECRImage is a manifest or an index in the list that ECR returns. A field is zero if ECR does not state it.
type ECRImage struct {
	Digest    string
	MediaType string // of the manifest
	Tags      []string
	Total     int64     // bytes of all layers; ECR does not state the size of the manifest itself
	Pushed    time.Time // when the image was pushed
}

// ecrImage is an imageDetail of DescribeImages.
type ecrImage struct {
	Digest    string          `json:"imageDigest"`
	MediaType string          `json:"imageManifestMediaType"`
	Tags      []string        `json:"imageTags"`
	Total     int64           `json:"imageSizeInBytes"`
	Pushed    json.RawMessage `json:"imagePushedAt"` // seconds since 1970, with a fraction
}

func (i ecrImage) image() ECRImage {
	out := ECRImage{Digest: i.Digest, MediaType: i.MediaType, Tags: i.Tags, Total: i.Total}
	if n, ok := number(i.Pushed); ok {
		out.Pushed = time.UnixMilli(int64(n * 1000)).UTC()
	}
	return out
}

const (
	imagesAtOnce = 1000   // images in a page; ECR allows no more
	imagePages   = 10_000 // maximum number of pages of one repository
	maxToken     = 8192   // maximum length in bytes of what names the next page
)

const describeHint = "give these AWS credentials the right ecr:DescribeImages"

// Lists reports whether [ECRRepositories.Images] can list the repositories of host: host is a private registry of
// ECR under its own name. It makes no request.
func (e *ECRRepositories) Lists(host string) bool {
	if e == nil || e.api.Env == nil {
		return false
	}
	at, ok := e.api.api(host)
	return ok && at.service == "ecr"
}

// Images calls show with all images of repo, up to 1,000 at a time. It makes one signed request for each call. If
// show returns an error, Images stops and returns this error unchanged. Images without a tag are included.
// Archived images are not included, because they cannot be read.
//
// The error is [fault.Denied] if there are no AWS credentials, if they lack the right ecr:DescribeImages, or if
// Lists is false for the host of repo; [fault.NotFound] if ECR has no such repository; [fault.Unavailable] if its
// API cannot be reached or throttles; [fault.Refused] if the pages do not end.
func (e *ECRRepositories) Images(ctx context.Context, repo ref.Repo, show func([]ECRImage) error) error {
	fail := func(kind fault.Kind, hint string, err error) error {
		return &fault.Fault{Kind: kind, Op: "list images of", Name: repo.String(), Hint: hint, Err: err}
	}
	if !e.Lists(repo.Host) {
		return fail(fault.Denied, "", errNoKeys)
	}
	seen := map[string]bool{}
	next := ""
	for range imagePages {
		r, q, ok, err := e.call(ctx, repo, "DescribeImages", func(name, registry string) map[string]any {
			body := with(map[string]any{"repositoryName": name, "maxResults": imagesAtOnce}, registry)
			if next != "" {
				body["nextToken"] = next
			}
			return body
		})
		switch {
		case err != nil:
			return err
		case !ok:
			return fail(fault.Denied, describeHint, errNoKeys)
		case r.status == http.StatusBadRequest && strings.Contains(reason(r.body), "RepositoryNotFoundException"):
			return fail(fault.NotFound, "", errors.New(clean(reason(r.body), q.hide)))
		}
		var page struct {
			Images []ecrImage `json:"imageDetails"`
			Next   string     `json:"nextToken"`
		}
		q.hint = describeHint
		if err := q.read(r, &page); err != nil {
			return err
		}
		images := make([]ECRImage, len(page.Images))
		for i, m := range page.Images {
			images[i] = m.image()
		}
		if err := show(images); err != nil || page.Next == "" {
			return err
		}
		if seen[page.Next] || len(page.Next) > maxToken {
			return fail(fault.Refused, "", errors.New("the list repeats itself"))
		}
		seen[page.Next], next = true, page.Next
	}
	return fail(fault.Refused, "", fmt.Errorf("more than %d pages", imagePages))
}
