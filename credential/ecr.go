package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/ref"
)

// ECR finds the login for Amazon ECR, with the user "AWS". It knows private registries under all their names
// (also those of FIPS, dual-stack and China) and public.ecr.aws. It asks the API of each region once for a
// password, which all registries of the region accept. It uses the AWS credentials of the first of these
// sources:
//
//  1. $AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY and $AWS_SESSION_TOKEN;
//  2. the profile $AWS_PROFILE, else "default", in ~/.aws/credentials and ~/.aws/config (or
//     $AWS_SHARED_CREDENTIALS_FILE and $AWS_CONFIG_FILE): keys, role_arn with source_profile,
//     credential_source or web_identity_token_file, or credential_process. SSO is not supported;
//  3. $AWS_WEB_IDENTITY_TOKEN_FILE with $AWS_ROLE_ARN (IRSA);
//  4. $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI (ECS, EKS Pod Identity);
//  5. the metadata service of EC2, version 2, unless $AWS_EC2_METADATA_DISABLED is "true".
//
// $AWS_ENDPOINT_URL_ECR, $AWS_ENDPOINT_URL_ECR_PUBLIC, $AWS_ENDPOINT_URL_STS and $AWS_ENDPOINT_URL
// name other endpoints of the APIs. Everyone may read public.ecr.aws. An identity without the right to log in
// there, and keys that AWS does not know, are therefore treated as no identity.
type ECR struct{ Cloud }

// Lookup returns a Lookup for the registries of ECR. [Cloud] describes its errors, its cache and its
// concurrency.
func (e ECR) Lookup() Lookup { return e.on(e.machine()) }

func (e ECR) on(m *machine) Lookup {
	a := &aws{m}
	return func(ctx context.Context, repo ref.Repo) (Login, bool, error) {
		at, ok := a.api(repo.Host)
		if !ok {
			return Login{}, false, nil
		}
		return a.once(ctx, "ecr "+at.url, func(ctx context.Context) found { return a.password(ctx, repo.Host, at) })
	}
}

// ecrAPI is the API that returns the passwords for one region.
type ecrAPI struct{ url, region, service, target string }

// loginHint is the hint if AWS's own tools can log in at host where dray cannot.
func (at ecrAPI) loginHint(host string) string {
	return "log in with AWS's own program: " +
		shell.Line("aws", at.service, "get-login-password", "--region", at.region) + " | " +
		shell.Dray("login", "-u", "AWS", "--password-stdin", host)
}

// ecrHost matches ACCOUNT.dkr.ecr[-fips].REGION.amazonaws.com[.cn] and the dual-stack names
// ACCOUNT.dkr-ecr[-fips].REGION.on.aws (China: on.amazonwebservices.com.cn).
var ecrHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9]{12}\.dkr([.-])(ecr|ecr-fips)\.([a-z0-9-]+)\.` +
		`(amazonaws\.com|amazonaws\.com\.cn|on\.aws|on\.amazonwebservices\.com\.cn)$`)
})

func (a *aws) api(host string) (ecrAPI, bool) {
	if host == "public.ecr.aws" || host == "ecr-public.aws.com" {
		return ecrAPI{a.endpoint("ECR_PUBLIC", "https://api.ecr-public.us-east-1.amazonaws.com"),
			"us-east-1", "ecr-public", "SpencerFrontendService.GetAuthorizationToken"}, true
	}
	p := ecrHost().FindStringSubmatch(host)
	if p == nil || (p[1] == "-") != strings.HasPrefix(p[4], "on.") {
		return ecrAPI{}, false
	}
	name, region, domain := p[2], p[3], p[4]
	switch {
	case p[1] == "-":
		domain = strings.Replace(domain, "on.", "api.", 1)
	case name == "ecr":
		name = "api.ecr"
	}
	return ecrAPI{a.endpoint("ECR", "https://"+name+"."+region+"."+domain),
		region, "ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}, true
}

// ecrSpare is how long before it expires a password is no longer used.
const ecrSpare = 5 * time.Minute

// password calls GetAuthorizationToken of the API.
func (a *aws) password(ctx context.Context, host string, at ecrAPI) found {
	keys, ok, err := a.keys(ctx, at.region)
	if f, is := errors.AsType[*fault.Fault](err); is && f.Kind == fault.Invalid && f.Hint == "" {
		g := *f
		g.Hint = at.loginHint(host)
		err = &g
	}
	if !ok || err != nil {
		return found{err: err}
	}
	q := question{who: keys.from + " at " + at.service + " " + at.region, url: at.url, body: "{}", hide: keys.secrets(),
		header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": at.target}}
	r, err := a.signed(ctx, keys, q, at.region, at.service)
	if err != nil {
		return found{err: err}
	}
	if r.status == http.StatusBadRequest && at.service == "ecr-public" && notForUs(reason(r.body)) {
		return found{}
	}
	type grant struct {
		Token string          `json:"authorizationToken"`
		Ends  json.RawMessage `json:"expiresAt"`
	}
	var reply struct {
		Data json.RawMessage `json:"authorizationData"` // a list with one element; the public API returns the element itself
	}
	if err := q.read(r, &reply); err != nil {
		return found{err: err}
	}
	grants := make([]grant, 1)
	if json.Unmarshal(reply.Data, &grants) != nil && json.Unmarshal(reply.Data, &grants[0]) != nil || len(grants) == 0 {
		return found{err: q.fail(fault.Denied, errNoAnswer)}
	}
	plain, err := base64.StdEncoding.DecodeString(grants[0].Token)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || user == "" || password == "" {
		return found{err: q.fail(fault.Denied, errors.New("its answer contains no token"))}
	}
	ends := time.Now().Add(ecrSpare + briefLife)
	if n, ok := number(grants[0].Ends); ok {
		ends = time.Unix(int64(n), 0)
	}
	l := Login{User: user, Password: New(password), From: keys.from}
	return found{login: l, ok: true, until: lasting(time.Until(ends) - ecrSpare)}
}

func notForUs(why string) bool {
	return strings.Contains(why, "AccessDenied") || strings.Contains(why, "UnrecognizedClient")
}
