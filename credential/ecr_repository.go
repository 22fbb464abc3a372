package credential

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// ECRRepositories is ECR's API for what the distribution API can not do. It signs with the
// credentials that ECR finds a login with. A nil *ECRRepositories knows nothing and makes nothing.
type ECRRepositories struct {
	api *aws

	turn chan struct{} // held by the one who asks
	seen map[ref.Repo]mutability

	looking chan struct{}       // held by the one who looks for credentials
	held    map[string]heldKeys // by region
}

// heldKeys are credentials that were found; ok is false where there are none.
type heldKeys struct {
	awsKeys
	ok    bool
	until time.Time
}

// keysHeld is how long credentials are used again: finding them may take requests to STS or a
// metadata service, which replace theirs minutes before the end.
const keysHeld = time.Minute

// maxImagesPage is how many bytes an answer may have: an image may have a thousand tags.
const maxImagesPage = 16 << 20

// mutability is what ECR says of the tags of one repository.
type mutability struct {
	Mode       string `json:"imageTagMutability"`
	Exclusions []struct {
		Filter string `json:"filter"`
	} `json:"imageTagMutabilityExclusionFilters"`
}

// Repositories makes no request. Its methods may be called concurrently; Cloud tells of errors.
func (e ECR) Repositories() *ECRRepositories {
	return &ECRRepositories{api: &aws{e.machine()}, turn: make(chan struct{}, 1), seen: map[ref.Repo]mutability{},
		looking: make(chan struct{}, 1), held: map[string]heldKeys{}}
}

var errNoKeys = errors.New("no AWS credentials")

const noKeysHint = "CreateRepository needs AWS credentials: $AWS_ACCESS_KEY_ID, a profile or a role; a docker login is not enough"

// Create makes the repository, with ECR's defaults: private, its tags mutable. made is false where
// it was there already. Without AWS credentials, and for a host that is not ECR's, the error is
// Denied.
func (e *ECRRepositories) Create(ctx context.Context, repo ref.Repo) (made bool, err error) {
	none := &fault.Fault{Kind: fault.Denied, Op: "create repository", Name: repo.String(), Hint: noKeysHint, Err: errNoKeys}
	if e == nil {
		return false, none
	}
	r, q, ok, err := e.call(ctx, repo, "CreateRepository", func(name, registry string) map[string]any {
		return with(map[string]any{"repositoryName": name}, registry)
	})
	switch {
	case err != nil:
		return false, err
	case !ok:
		return false, none
	case r.status == http.StatusOK:
		return true, nil
	case r.status == http.StatusBadRequest && strings.Contains(reason(r.body), "RepositoryAlreadyExistsException"):
		return false, nil
	}
	q.hint = "these AWS credentials need ecr:CreateRepository, or create the repository first"
	return false, q.refused(r)
}

// Immutable reports whether a tag of repo that exists can not be moved. known is false where
// nothing tells: no AWS credentials, no right to ask, no such repository. A repository is asked
// about once. Canceled is the only error.
func (e *ECRRepositories) Immutable(ctx context.Context, repo ref.Repo, tag string) (immutable, known bool, err error) {
	if e == nil {
		return false, false, nil
	}
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return false, false, &fault.Fault{Kind: fault.Canceled, Op: "ask about", Name: repo.String(), Err: context.Cause(ctx)}
	}
	at, ok := e.seen[repo]
	if !ok {
		if at, err = e.describe(ctx, repo); err != nil {
			return false, false, err
		}
		e.seen[repo] = at
	}
	excluded := false
	for _, x := range at.Exclusions {
		excluded = excluded || wildcard(x.Filter).MatchString(tag)
	}
	switch at.Mode {
	case "IMMUTABLE":
		return true, true, nil
	case "IMMUTABLE_WITH_EXCLUSION":
		return !excluded, true, nil
	case "MUTABLE_WITH_EXCLUSION":
		return excluded, true, nil
	}
	return false, at.Mode == "MUTABLE", nil
}

// describe is the zero mutability where nothing tells.
func (e *ECRRepositories) describe(ctx context.Context, repo ref.Repo) (mutability, error) {
	r, _, ok, err := e.call(ctx, repo, "DescribeRepositories", func(name, registry string) map[string]any {
		return with(map[string]any{"repositoryNames": []string{name}}, registry)
	})
	if fault.Is(err, fault.Canceled) {
		return mutability{}, err
	}
	var reply struct{ Repositories []mutability }
	if err != nil || !ok || r.status != http.StatusOK || json.Unmarshal(r.body, &reply) != nil || len(reply.Repositories) != 1 {
		return mutability{}, nil
	}
	return reply.Repositories[0], nil
}

// wildcard reads "*" as any text.
func wildcard(filter string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(filter), `\*`, ".*") + "$")
}

func with(body map[string]any, registry string) map[string]any {
	if registry != "" {
		body["registryId"] = registry
	}
	return body
}

// call asks for one action; ok is false where repo is not on ECR or there are no keys.
func (e *ECRRepositories) call(ctx context.Context, repo ref.Repo, action string, body func(name, registry string) map[string]any) (r reply, q question, ok bool, err error) {
	a := e.api
	at, ok := a.api(repo.Host)
	if !ok || a.Env == nil {
		return reply{}, question{}, false, nil
	}
	keys, ok, err := e.keys(ctx, at.region)
	if !ok || err != nil {
		return reply{}, question{}, false, err
	}
	name, registry := repo.Path, ""
	if at.service == "ecr" {
		registry, _, _ = strings.Cut(repo.Host, ".")
	} else {
		_, name, _ = strings.Cut(repo.Path, "/") // after the registry's alias
	}
	raw, err := json.Marshal(body(name, registry))
	if err != nil {
		return reply{}, question{}, false, err
	}
	prefix := at.target[:strings.LastIndexByte(at.target, '.')+1]
	q = question{who: keys.from + " at " + at.service + " " + at.region, url: at.url, body: string(raw), hide: keys.secrets(), most: maxImagesPage,
		header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": prefix + action}}
	r, err = a.signed(ctx, keys, q, at.region, at.service)
	return r, q, err == nil, err
}

// keys are the credentials for a region; ok is false where there are none.
func (e *ECRRepositories) keys(ctx context.Context, region string) (awsKeys, bool, error) {
	select {
	case e.looking <- struct{}{}:
		defer func() { <-e.looking }()
	case <-ctx.Done():
		return awsKeys{}, false, &fault.Fault{Kind: fault.Canceled, Op: "wait for AWS credentials", Err: context.Cause(ctx)}
	}
	if at, was := e.held[region]; was && time.Now().Before(at.until) {
		return at.awsKeys, at.ok, nil
	}
	k, ok, err := e.api.keys(ctx, region)
	if err == nil && ctx.Err() == nil {
		e.held[region] = heldKeys{k, ok, time.Now().Add(keysHeld)}
	}
	return k, ok, err
}
