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

// ECRRepositories uses ECR's own API for what the distribution API cannot do: create repositories, find out
// whether tags are immutable, and list images. It signs its requests with the AWS credentials that [ECR] finds. A
// nil *ECRRepositories knows nothing and creates nothing. Its methods are safe for concurrent use. [Cloud]
// describes their errors.
type ECRRepositories struct {
	api *aws

	turn chan struct{} // a lock for seen, held during a request
	seen map[ref.Repo]mutability

	looking chan struct{}       // a lock for held, held while credentials are looked for
	held    map[string]heldKeys // by region
}

// heldKeys are credentials that were found. ok is false if there are none.
type heldKeys struct {
	awsKeys
	ok    bool
	until time.Time
}

// keysHeld is how long credentials are used before they are looked for again. Finding them may take requests to
// STS or to a metadata service. These replace their credentials minutes before they expire.
const keysHeld = time.Minute

// maxImagesPage is the maximum size of an answer in bytes. It is large because an image may have 1,000 tags.
const maxImagesPage = 16 << 20

// mutability is the answer of ECR about the tags of one repository.
type mutability struct {
	Mode       string `json:"imageTagMutability"`
	Exclusions []struct {
		Filter string `json:"filter"`
	} `json:"imageTagMutabilityExclusionFilters"`
}

// Repositories returns an ECRRepositories that uses the credentials of e. It makes no request.
func (e ECR) Repositories() *ECRRepositories {
	return &ECRRepositories{api: &aws{e.machine()}, turn: make(chan struct{}, 1), seen: map[ref.Repo]mutability{},
		looking: make(chan struct{}, 1), held: map[string]heldKeys{}}
}

var errNoKeys = errors.New("no AWS credentials")

const noKeysHint = "provide AWS credentials ($AWS_ACCESS_KEY_ID, a profile or a role); " +
	"a docker login cannot create a repository"

// Create creates the repository with the defaults of ECR: it is private and its tags are mutable. made is false if
// the repository already exists. The error is [fault.Denied] if there are no AWS credentials, or if the host is
// not one of ECR.
func (e *ECRRepositories) Create(ctx context.Context, repo ref.Repo) (made bool, err error) {
	none := &fault.Fault{
		Kind: fault.Denied,
		Op:   "create repository",
		Name: repo.String(),
		Hint: noKeysHint,
		Err:  errNoKeys,
	}
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
	q.hint = "give these AWS credentials the right ecr:CreateRepository, or create the repository first"
	return false, q.refused(r)
}

// Immutable reports whether an existing tag of repo cannot be moved. known is false if that cannot be found out:
// there are no AWS credentials, they do not have the right to ask, or there is no such repository. It asks about
// each repository once. The only error is [fault.Canceled].
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

// describe returns the mutability of repo, or the zero mutability if it cannot be found out.
func (e *ECRRepositories) describe(ctx context.Context, repo ref.Repo) (mutability, error) {
	r, _, ok, err := e.call(ctx, repo, "DescribeRepositories", func(name, registry string) map[string]any {
		return with(map[string]any{"repositoryNames": []string{name}}, registry)
	})
	if fault.Is(err, fault.Canceled) {
		return mutability{}, err
	}
	var reply struct{ Repositories []mutability }
	if err != nil || !ok || r.status != http.StatusOK {
		return mutability{}, nil
	}
	if json.Unmarshal(r.body, &reply) != nil || len(reply.Repositories) != 1 {
		return mutability{}, nil
	}
	return reply.Repositories[0], nil
}

// wildcard compiles a filter in which "*" matches any text.
func wildcard(filter string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(filter), `\*`, ".*") + "$")
}

func with(body map[string]any, registry string) map[string]any {
	if registry != "" {
		body["registryId"] = registry
	}
	return body
}

// call calls one action of the API. ok is false if repo is not at ECR or there are no keys.
func (e *ECRRepositories) call(
	ctx context.Context, repo ref.Repo, action string, body func(name, registry string) map[string]any,
) (r reply, q question, ok bool, err error) {
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
		_, name, _ = strings.Cut(repo.Path, "/") // the first component is the alias of the registry
	}
	raw, err := json.Marshal(body(name, registry))
	if err != nil {
		return reply{}, question{}, false, err
	}
	prefix := at.target[:strings.LastIndexByte(at.target, '.')+1]
	q = question{
		who:    keys.from + " at " + at.service + " " + at.region,
		url:    at.url,
		body:   string(raw),
		hide:   keys.secrets(),
		most:   maxImagesPage,
		header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": prefix + action},
	}
	r, err = a.signed(ctx, keys, q, at.region, at.service)
	return r, q, err == nil, err
}

// keys returns the credentials for a region. The result is false if there are none.
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
