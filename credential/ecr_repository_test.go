package credential

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// answers is the API of ECR in eu-west-1. It accepts one action with one body, signed with keys.
func (s *sky) answers(keys awsKeys, action, want string, status int, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Amz-Target") != "AmazonEC2ContainerRegistry_V20150921."+action || string(body) != want {
			s.t.Errorf("%s %s", r.Header.Get("X-Amz-Target"), body)
		}
		if !s.verify(r, string(body), keys, "eu-west-1", "ecr") {
			status = http.StatusForbidden
		}
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}
}

func TestARepositoryIsMadeOnceAndOneThatIsThereIsFine(t *testing.T) {
	s := newSky(t).up()
	keys := s.envKeys()
	repo := ref.Repo{Host: ecrPrivate, Path: "team/app"}
	const want = `{"registryId":"123456789012","repositoryName":"team/app"}`
	s.at[ecrAt] = s.answers(keys, "CreateRepository", want, 200, `{"repository": {}}`)
	if made, err := (ECR{s.cloud()}).Repositories().Create(t.Context(), repo); !made || err != nil {
		t.Error(made, err)
	}
	s.at[ecrAt] = s.answers(keys, "CreateRepository", want, 400, `{"__type": "RepositoryAlreadyExistsException", "message": "it is there"}`)
	if made, err := (ECR{s.cloud()}).Repositories().Create(t.Context(), repo); made || err != nil {
		t.Error(made, err)
	}
	s.at[ecrAt] = s.answers(keys, "CreateRepository", want, 400, `{"__type": "AccessDeniedException", "message": "not authorized to perform: ecr:CreateRepository"}`)
	_, err := (ECR{s.cloud()}).Repositories().Create(t.Context(), repo)
	if !fault.Is(err, fault.Denied) || err.Error() != "ask aws environment at ecr eu-west-1: denied: HTTP 400: AccessDeniedException: not authorized to perform: ecr:CreateRepository" {
		t.Error(err)
	}
}

func TestWithoutKeysNoRepositoryIsMadeAndNothingIsKnown(t *testing.T) {
	s := newSky(t).up()
	s.vars["AWS_EC2_METADATA_DISABLED"] = "true"
	repo := ref.Repo{Host: ecrPrivate, Path: "app"}
	for _, e := range []*ECRRepositories{nil, ECR{s.cloud()}.Repositories(), ECR{}.Repositories()} {
		if _, err := e.Create(t.Context(), repo); !fault.Is(err, fault.Denied) || fault.HintOf(err) != noKeysHint {
			t.Error(err)
		}
		if _, known, err := e.Immutable(t.Context(), repo, "v1"); known || err != nil {
			t.Error(known, err)
		}
	}
	if s.count() != 0 {
		t.Error(s.asked)
	}
}

func TestMutabilityIsReadWithItsExclusions(t *testing.T) {
	s := newSky(t).up()
	keys := s.envKeys()
	repo := ref.Repo{Host: ecrPrivate, Path: "app"}
	for _, tt := range []struct {
		mutability, filters, tag string
		immutable, known         bool
	}{
		{"MUTABLE", ``, "v1", false, true},
		{"IMMUTABLE", ``, "v1", true, true},
		{"IMMUTABLE_WITH_EXCLUSION", `{"filterType":"WILDCARD","filter":"dev-*"}`, "v1", true, true},
		{"IMMUTABLE_WITH_EXCLUSION", `{"filterType":"WILDCARD","filter":"dev-*"}`, "dev-7", false, true},
		{"MUTABLE_WITH_EXCLUSION", `{"filterType":"WILDCARD","filter":"v*.0"}`, "v1.0", true, true},
		{"MUTABLE_WITH_EXCLUSION", `{"filterType":"WILDCARD","filter":"v*.0"}`, "v1x0", false, true},
		{"SOMETHING_NEW", ``, "v1", false, false},
	} {
		s.at[ecrAt] = s.answers(keys, "DescribeRepositories", `{"registryId":"123456789012","repositoryNames":["app"]}`, 200,
			fmt.Sprintf(`{"repositories": [{"imageTagMutability": %q, "imageTagMutabilityExclusionFilters": [%s]}]}`, tt.mutability, tt.filters))
		immutable, known, err := (ECR{s.cloud()}).Repositories().Immutable(t.Context(), repo, tt.tag)
		if immutable != tt.immutable || known != tt.known || err != nil {
			t.Errorf("%+v: %v %v %v", tt, immutable, known, err)
		}
	}
	s.at[ecrAt] = s.answers(keys, "DescribeRepositories", `{"registryId":"123456789012","repositoryNames":["app"]}`, 400, `{"__type": "AccessDeniedException"}`)
	if _, known, err := (ECR{s.cloud()}).Repositories().Immutable(t.Context(), repo, "v1"); known || err != nil {
		t.Error(known, err)
	}
}
