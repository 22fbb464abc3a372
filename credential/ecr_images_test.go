package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

const (
	imagesAsked = `{"maxResults":1000,"registryId":"123456789012","repositoryName":"team/app"}`
	imagesNext  = `{"maxResults":1000,"nextToken":"page 2/==","registryId":"123456789012","repositoryName":"team/app"}`
)

var ecrTeam = ref.Repo{Host: ecrPrivate, Path: "team/app"}

// readImages returns all images that Images shows.
func readImages(ctx context.Context, e *ECRRepositories) (all []ECRImage, err error) {
	err = e.Images(ctx, ecrTeam, func(page []ECRImage) error { all = append(all, page...); return nil })
	return all, err
}

func TestImagesAreReadPageByPageEachSigned(t *testing.T) {
	s := newSky(t).up()
	keys := s.envKeys()
	second := s.answers(keys, "DescribeImages", imagesNext, 200, `{"imageDetails": [{"imageDigest": "sha256:b", "imageSizeInBytes": 7}]}`)
	s.at[ecrAt] = func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.at[ecrAt] = second
		s.mu.Unlock()
		s.answers(keys, "DescribeImages", imagesAsked, 200, `{"nextToken": "page 2/==", "imageDetails": [{"registryId": "123456789012", "repositoryName": "team/app",
			"imageDigest": "sha256:a", "imageTags": ["v1", "latest"], "imageSizeInBytes": 5000000000, "imagePushedAt": 1.7723664005E9,
			"imageManifestMediaType": "application/vnd.oci.image.index.v1+json"}]}`)(w, r)
	}
	got, err := readImages(t.Context(), ECR{s.cloud()}.Repositories())
	if err != nil || len(got) != 2 || s.count() != 2 {
		t.Fatal(got, err, s.asked)
	}
	a, b := got[0], got[1]
	if a.Digest != "sha256:a" || !slices.Equal(a.Tags, []string{"v1", "latest"}) || a.Total != 5e9 || a.MediaType != "application/vnd.oci.image.index.v1+json" ||
		!a.Pushed.Equal(time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC)) {
		t.Errorf("%+v", a)
	}
	if b.Digest != "sha256:b" || b.Tags != nil || b.MediaType != "" || !b.Pushed.IsZero() {
		t.Errorf("%+v", b)
	}
}

func TestAPageOfImagesMayBeLongerThanOtherAnswers(t *testing.T) {
	s := newSky(t).up()
	tags := strings.Repeat(`"`+strings.Repeat("t", 126)+`",`, 10_000) + `"v1"`
	s.at[ecrAt] = s.answers(s.envKeys(), "DescribeImages", imagesAsked, 200, `{"imageDetails": [{"imageDigest": "sha256:a", "imageTags": [`+tags+`]}]}`)
	got, err := readImages(t.Context(), ECR{s.cloud()}.Repositories())
	if err != nil || len(got) != 1 || len(got[0].Tags) != 10_001 {
		t.Error(len(got), err)
	}
}

func TestWhatImagesCanNotReadIsToldByKind(t *testing.T) {
	s := newSky(t).up()
	keys := s.envKeys()
	for answer, want := range map[string]struct {
		kind fault.Kind
		text string
	}{
		`{"__type": "AccessDeniedException", "message": "not authorized to perform: ecr:DescribeImages"}`: {fault.Denied,
			"ask aws environment at ecr eu-west-1: denied: HTTP 400: AccessDeniedException: not authorized to perform: ecr:DescribeImages"},
		`{"__type": "RepositoryNotFoundException", "message": "no ` + canary + `"}`: {fault.NotFound,
			"list images of " + ecrTeam.String() + ": not found: RepositoryNotFoundException: no [redacted]"},
	} {
		s.at[ecrAt] = s.answers(keys, "DescribeImages", imagesAsked, 400, answer)
		_, err := readImages(t.Context(), ECR{s.cloud()}.Repositories())
		if !fault.Is(err, want.kind) || err.Error() != want.text || want.kind == fault.Denied && fault.HintOf(err) != describeHint {
			t.Error(err, fault.HintOf(err))
		}
	}
	s.at[ecrAt] = func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"imageDetails": [], "nextToken": "again"}`)
	}
	asked := s.count()
	if _, err := readImages(t.Context(), ECR{s.cloud()}.Repositories()); !fault.Is(err, fault.Refused) || s.count() != asked+2 {
		t.Error(err, s.asked)
	}
	stop := errors.New("enough")
	s.at[ecrAt] = s.answers(keys, "DescribeImages", imagesAsked, 200, `{"imageDetails": [], "nextToken": "more"}`)
	if err := (ECR{s.cloud()}).Repositories().Images(t.Context(), ecrTeam, func([]ECRImage) error { return stop }); err != stop { //nolint:errorlint // it must be the same error, not one that wraps it
		t.Error(err)
	}
}

func TestOnlyPrivateRegistriesAreListedAndOnlyWithKeys(t *testing.T) {
	s := newSky(t).up()
	s.vars["AWS_EC2_METADATA_DISABLED"] = "true"
	with := ECR{s.cloud()}.Repositories()
	for host, want := range map[string]bool{ecrPrivate: true, "123456789012.dkr-ecr.eu-west-1.on.aws": true, "public.ecr.aws": false, "ecr.example.com": false} {
		if with.Lists(host) != want || (*ECRRepositories)(nil).Lists(host) || (ECR{}).Repositories().Lists(host) {
			t.Error(host)
		}
	}
	for _, e := range []*ECRRepositories{nil, with, ECR{}.Repositories()} {
		if _, err := readImages(t.Context(), e); !fault.Is(err, fault.Denied) || !errors.Is(err, errNoKeys) {
			t.Error(err)
		}
	}
	if s.count() != 0 {
		t.Error(s.asked)
	}
}

func TestABusyAPIIsAskedAgain(t *testing.T) {
	for failures, want := range map[int]fault.Kind{2: "", 9: fault.Unavailable} {
		synctest.Test(t, func(t *testing.T) {
			s := newSky(t)
			keys := s.envKeys()
			n := 0
			s.at[ecrAt] = func(w http.ResponseWriter, r *http.Request) {
				if n++; n <= failures {
					s.answers(keys, "DescribeImages", imagesAsked, 400, `{"__type": "ThrottlingException", "message": "Rate exceeded"}`)(w, r)
					return
				}
				s.answers(keys, "DescribeImages", imagesAsked, 200, `{"imageDetails": []}`)(w, r)
			}
			_, err := readImages(t.Context(), ECR{s.cloud()}.Repositories())
			if (err == nil) != (want == "") || err != nil && !fault.Is(err, want) || n != 3 {
				t.Error(n, err)
			}
		})
	}
}

func TestOneRoleServesManyListsForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		temporary := awsKeys{id: "ASIAWEB", secret: New(canary), session: New(canary + "-session")}
		s.vars = map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": s.write("token", canary+"-oidc\n")}
		s.at[stsAt] = s.demand(url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::1:role/r"}, "RoleSessionName": {"dray"},
			"WebIdentityToken": {canary + "-oidc"}}, roleXML("AssumeRoleWithWebIdentity", temporary))
		s.at[ecrAt] = s.answers(temporary, "DescribeImages", imagesAsked, 200, `{"imageDetails": []}`)
		e := ECR{s.cloud()}.Repositories()
		for _, step := range []struct {
			wait      time.Duration
			exchanges int
		}{{0, 1}, {0, 1}, {59 * time.Second, 1}, {2 * time.Second, 2}} {
			time.Sleep(step.wait)
			if _, err := readImages(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, asked := range s.asked {
				if strings.HasPrefix(asked, "POST "+stsAt) {
					n++
				}
			}
			if n != step.exchanges {
				t.Errorf("%s later: %s", step.wait, fmt.Sprint(s.asked))
			}
		}
	})
}
