package credential

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

const (
	ec2Metadata  = "http://169.254.169.254/latest/"
	ecsMetadata  = "http://169.254.170.2"
	stsVersion   = "2011-06-15"
	sessionName  = "dray" // the name of the session in the logs of AWS when a role is assumed
	ec2TokenTime = "300"  // lifetime in seconds; the token is used at once
)

// containerHosts are the addresses, in addition to loopback, that may return container credentials over plain
// HTTP: those of ECS and of the agent of EKS.
var containerHosts = []string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}

var (
	errHost = errors.New("plain http is allowed only for loopback, 169.254.170.2, 169.254.170.23 and fd00:ec2::23")
	errKeys = errors.New("its answer contains no keys")
)

// aws finds AWS credentials on a machine, like the tools of AWS.
type aws struct{ *machine }

// signed sends q with a signature for the current time.
func (a *aws) signed(ctx context.Context, keys awsKeys, q question, region, service string) (reply, error) {
	u, err := endpoint(q.url)
	if err == nil && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		err = errors.New("an AWS endpoint cannot have a path or a query")
	}
	if err != nil {
		return reply{}, q.fail(fault.Invalid, err)
	}
	u.Path = "/"
	q.url = u.String()
	keys.sign(http.MethodPost, u, q.header, q.body, region, service, time.Now())
	return a.ask(ctx, q)
}

func (a *aws) fromEnv(context.Context, string) (awsKeys, bool, error) {
	id, secret := a.env("AWS_ACCESS_KEY_ID"), a.env("AWS_SECRET_ACCESS_KEY")
	return awsKeys{id, New(secret), New(a.env("AWS_SESSION_TOKEN")), "aws environment"}, id != "" && secret != "", nil
}

func (a *aws) fromWebIdentity(ctx context.Context, region string) (awsKeys, bool, error) {
	path, role := a.env("AWS_WEB_IDENTITY_TOKEN_FILE"), a.env("AWS_ROLE_ARN")
	if path == "" || role == "" {
		return awsKeys{}, false, nil
	}
	return a.webIdentity(ctx, "aws web identity role "+role, path, role, a.env("AWS_ROLE_SESSION_NAME"), region)
}

// webIdentity calls AssumeRoleWithWebIdentity of STS. The request is not signed, because the token is the proof.
func (a *aws) webIdentity(ctx context.Context, who, path, role, session, region string) (awsKeys, bool, error) {
	proof, err := secretFile(who, path)
	if err != nil {
		return awsKeys{}, false, err
	}
	q := form(who, a.sts(region), url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {stsVersion},
		"RoleArn": {role}, "RoleSessionName": {orElse(session, sessionName)}, "WebIdentityToken": {proof}}, proof)
	r, err := a.ask(ctx, q)
	if err != nil {
		return awsKeys{}, false, err
	}
	return q.role(r)
}

// assume calls AssumeRole of STS, signed with the keys of another identity.
func (a *aws) assume(
	ctx context.Context, who string, base awsKeys, role, session, externalID, region string,
) (awsKeys, bool, error) {
	fields := url.Values{
		"Action":          {"AssumeRole"},
		"Version":         {stsVersion},
		"RoleArn":         {role},
		"RoleSessionName": {orElse(session, sessionName)},
	}
	if externalID != "" {
		fields.Set("ExternalId", externalID)
	}
	q := form(who, a.sts(region), fields, base.secrets()...)
	r, err := a.signed(ctx, base, q, region, "sts")
	if err != nil {
		return awsKeys{}, false, err
	}
	return q.role(r)
}

// endpoint returns the endpoint that the variables of AWS name for a service, or usual if they name none.
func (a *aws) endpoint(service, usual string) string {
	return orElse(a.env("AWS_ENDPOINT_URL_"+service), orElse(a.env("AWS_ENDPOINT_URL"), usual))
}

func (a *aws) sts(region string) string {
	domain := ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain += ".cn"
	}
	return a.endpoint("STS", "https://sts."+region+domain)
}

// role reads the answer of STS. Both actions return the same fields, in elements with different names.
func (q question) role(r reply) (awsKeys, bool, error) {
	if r.status != http.StatusOK {
		return awsKeys{}, false, q.refused(r)
	}
	type result struct {
		Credentials struct {
			AccessKeyID                   string `xml:"AccessKeyId"`
			SecretAccessKey, SessionToken string
		}
	}
	var x struct {
		Web  result `xml:"AssumeRoleWithWebIdentityResult"`
		Role result `xml:"AssumeRoleResult"`
	}
	if xml.Unmarshal(r.body, &x) != nil {
		return awsKeys{}, false, q.fail(fault.Denied, errKeys)
	}
	c := x.Web.Credentials
	if c.AccessKeyID == "" {
		c = x.Role.Credentials
	}
	return q.temporary(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

func (q question) temporary(id, secret, session string) (awsKeys, bool, error) {
	if id == "" || secret == "" || session == "" {
		return awsKeys{}, false, q.fail(fault.Denied, errKeys)
	}
	return awsKeys{id, New(secret), New(session), q.who}, true, nil
}

// metadataKeys are keys in the form in which ECS and EC2 return them.
type metadataKeys struct {
	Code            string // EC2 only: "Success"
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
}

func (a *aws) fromContainer(ctx context.Context, _ string) (awsKeys, bool, error) {
	q := question{who: "aws container credentials", header: map[string]string{}}
	at := a.env("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if path := a.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		at = ecsMetadata + "/" + strings.TrimPrefix(path, "/")
	}
	if at == "" {
		return awsKeys{}, false, nil
	}
	u, err := endpoint(at)
	if err == nil && u.Scheme == "http" && !containerHost(u.Hostname()) {
		err = errHost
	}
	if err != nil {
		return awsKeys{}, false, q.fail(fault.Invalid, err)
	}
	q.url = at
	proof := a.env("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if path := a.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); path != "" {
		if proof, err = secretFile(q.who, path); err != nil {
			return awsKeys{}, false, err
		}
	}
	if proof != "" {
		q.header["Authorization"], q.hide = proof, []string{proof}
	}
	var k metadataKeys
	if err := a.get(ctx, q, &k); err != nil {
		return awsKeys{}, false, err
	}
	return q.temporary(k.AccessKeyID, k.SecretAccessKey, k.Token)
}

func containerHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (ip.IsLoopback() || slices.Contains(containerHosts, ip.String()))
}

// fromEC2 uses version 2 of the metadata service only: it requests a token with PUT, then the name of the role,
// then the keys of the role.
func (a *aws) fromEC2(ctx context.Context, _ string) (awsKeys, bool, error) {
	if strings.EqualFold(a.env("AWS_EC2_METADATA_DISABLED"), "true") {
		return awsKeys{}, false, nil
	}
	// In a container that is one network hop too far away, the answer to the PUT never arrives. So it gets one second.
	q := question{
		who:    "aws instance metadata",
		method: http.MethodPut,
		url:    ec2Metadata + "api/token",
		limit:  connectLimit,
		header: map[string]string{"X-aws-ec2-metadata-token-ttl-seconds": ec2TokenTime},
	}
	r, ok, err := a.probe(ctx, q)
	if err != nil || !ok || r.status != http.StatusOK {
		return awsKeys{}, false, err
	}
	pass := strings.TrimSpace(string(r.body))
	q = question{who: q.who, url: ec2Metadata + "meta-data/iam/security-credentials/", hide: []string{pass},
		header: map[string]string{"X-aws-ec2-metadata-token": pass}}
	r, err = a.ask(ctx, q)
	if err != nil {
		return awsKeys{}, false, err
	}
	role, _, _ := strings.Cut(strings.TrimSpace(string(r.body)), "\n")
	if r.status == http.StatusNotFound || r.status == http.StatusOK && role == "" {
		return awsKeys{}, false, nil // the machine has no role
	}
	if r.status != http.StatusOK {
		return awsKeys{}, false, q.refused(r)
	}
	q.url += url.PathEscape(role)
	var k metadataKeys
	if err := a.get(ctx, q, &k); err != nil {
		return awsKeys{}, false, err
	}
	if k.Code != "" && k.Code != "Success" {
		return awsKeys{}, false, q.fail(fault.Denied, errors.New(clean(k.Code, nil)))
	}
	q.who += " role " + role
	return q.temporary(k.AccessKeyID, k.SecretAccessKey, k.Token)
}

// process runs a credential_process. Its output is never part of an error, because it may contain the keys.
func (a *aws) process(ctx context.Context, who, line string) (awsKeys, bool, error) {
	args := words(line)
	if len(args) == 0 {
		return awsKeys{}, false, question{who: who}.fail(fault.Invalid, errors.New("credential_process is empty"))
	}
	out, _, err := a.program(ctx, who+": credential_process", args...)
	if err != nil {
		return awsKeys{}, false, err
	}
	var k struct {
		Version                       int
		AccessKeyID                   string `json:"AccessKeyId"`
		SecretAccessKey, SessionToken string
		Expiration                    time.Time
	}
	if json.Unmarshal(out, &k) != nil || k.Version != 1 || k.AccessKeyID == "" || k.SecretAccessKey == "" {
		return awsKeys{}, false, question{who: who + ": credential_process"}.fail(fault.Denied, errNoAnswer)
	}
	return awsKeys{k.AccessKeyID, New(k.SecretAccessKey), New(k.SessionToken), who}, true, nil
}

// words splits a command line at spaces and tabs. Double quotes keep a word together.
func words(line string) []string {
	var all []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case (r == ' ' || r == '\t') && !quoted:
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		all = append(all, word.String())
	}
	return all
}
