package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
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
	ecrPrivate = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	ecrAt      = "https://api.ecr.eu-west-1.amazonaws.com"
	stsAt      = "https://sts.eu-west-1.amazonaws.com"
)

// suiteKeys and suiteSession are from the published test suite of AWS for Signature Version 4.
var suiteKeys = awsKeys{id: "AKIDEXAMPLE", secret: New("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")}

const suiteSession = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

func TestSignaturesAreThoseOfThePublishedSuite(t *testing.T) {
	withSession := suiteKeys
	withSession.session = New(suiteSession)
	for name, tt := range map[string]struct {
		keys         awsKeys
		method, body string
		header       map[string]string
		signed, want string
	}{
		"get-vanilla":  {suiteKeys, "GET", "", nil, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"post-vanilla": {suiteKeys, "POST", "", nil, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"post-sts-header-before": {withSession, "POST", "", nil, "host;x-amz-date;x-amz-security-token",
			"85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
		"post-x-www-form-urlencoded": {suiteKeys, "POST", "Param1=value1", map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			"content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		header := map[string]string{}
		maps.Copy(header, tt.header)
		tt.keys.sign(tt.method, &url.URL{Scheme: "https", Host: "example.amazonaws.com", Path: "/"}, header, tt.body, "us-east-1", "service",
			time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
		want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + tt.signed + ", Signature=" + tt.want
		if header["Authorization"] != want {
			t.Errorf("%s:\n got %s\nwant %s", name, header["Authorization"], want)
		}
	}
}

// verify computes the signature of a request again, as the service does.
func (s *sky) verify(r *http.Request, body string, keys awsKeys, region, service string) bool {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	fields := map[string]string{}
	for f := range strings.SplitSeq(rest, ", ") {
		k, v, _ := strings.Cut(f, "=")
		fields[k] = v
	}
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	signed := strings.Split(fields["SignedHeaders"], ";")
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, r.URL.EscapedPath(), r.URL.RawQuery)
	for _, h := range signed {
		value := r.Header.Get(h)
		if h == "host" {
			value = r.Host
		}
		fmt.Fprintf(&canonical, "%s:%s\n", h, value)
	}
	bodySum := sha256.Sum256([]byte(body))
	fmt.Fprintf(&canonical, "\n%s\n%x", fields["SignedHeaders"], bodySum)
	sum := sha256.Sum256([]byte(canonical.String()))
	scope := at.Format("20060102") + "/" + region + "/" + service + "/aws4_request"
	key := []byte("AWS4" + keys.secret.Reveal())
	for _, part := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(sum[:])) {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, part)
		key = h.Sum(nil)
	}
	good := ok && err == nil && time.Since(at).Abs() < 5*time.Minute && fields["Credential"] == keys.id+"/"+scope &&
		fields["Signature"] == hex.EncodeToString(key) && slices.IsSorted(signed) && r.Header.Get("X-Amz-Security-Token") == keys.session.Reveal()
	for _, must := range []string{"host", "x-amz-date", "content-type"} {
		good = good && slices.Contains(signed, must)
	}
	if good && !keys.session.IsZero() {
		good = slices.Contains(signed, "x-amz-security-token")
	}
	if !good {
		s.t.Errorf("a bad signature: %v", r.Header)
	}
	return good
}

// ecr is the private API of eu-west-1. Its passwords are valid for life.
func (s *sky) ecr(keys awsKeys, life time.Duration) http.HandlerFunc {
	return s.grants(keys, "eu-west-1", "ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", `{"authorizationData": [%s]}`, life)
}

func (s *sky) grants(keys awsKeys, region, service, target, form string, life time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("X-Amz-Target") != target ||
			r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || string(body) != "{}" {
			s.t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, body)
		}
		if !s.verify(r, string(body), keys, region, service) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, form, fmt.Sprintf(`{"authorizationToken": %q, "expiresAt": %d.123, "proxyEndpoint": "https://x"}`, b64("AWS:pw:1"), time.Now().Add(life).Unix()))
	}
}

// envKeys sets the variables for keys and returns the keys.
func (s *sky) envKeys() awsKeys {
	s.vars["AWS_ACCESS_KEY_ID"], s.vars["AWS_SECRET_ACCESS_KEY"], s.vars["AWS_SESSION_TOKEN"] = "AKIDENV", canary, canary+"-session"
	return awsKeys{id: "AKIDENV", secret: New(canary), session: New(canary + "-session")}
}

func TestEachNameOfECRHasItsOwnAPI(t *testing.T) {
	a := &aws{Cloud{}.machine()}
	for host, want := range map[string]string{
		ecrPrivate: "https://api.ecr.eu-west-1.amazonaws.com eu-west-1 ecr",
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":       "https://ecr-fips.us-gov-west-1.amazonaws.com us-gov-west-1 ecr",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":            "https://api.ecr.cn-north-1.amazonaws.com.cn cn-north-1 ecr",
		"123456789012.dkr-ecr.us-west-2.on.aws":                       "https://ecr.us-west-2.api.aws us-west-2 ecr",
		"123456789012.dkr-ecr-fips.us-west-2.on.aws":                  "https://ecr-fips.us-west-2.api.aws us-west-2 ecr",
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": "https://ecr.cn-north-1.api.amazonwebservices.com.cn cn-north-1 ecr",
		"public.ecr.aws": "https://api.ecr-public.us-east-1.amazonaws.com us-east-1 ecr-public",
	} {
		if at, ok := a.api(host); !ok || at.url+" "+at.region+" "+at.service != want {
			t.Errorf("%s: %+v", host, at)
		}
	}
}

func TestECRsPasswordIsSignedForAndKeptNearToItsEnd(t *testing.T) {
	s := newSky(t).up()
	keys := s.envKeys()
	s.at[ecrAt] = s.ecr(keys, 12*time.Hour)
	s.at["https://api.ecr-public.us-east-1.amazonaws.com"] = s.grants(keys, "us-east-1", "ecr-public", "SpencerFrontendService.GetAuthorizationToken", `{"authorizationData": %s}`, 12*time.Hour)
	look := ECR{s.cloud()}.Lookup()
	want := Login{User: "AWS", Password: New("pw:1"), From: "aws environment"}
	for _, host := range []string{ecrPrivate, "999999999999" + ecrPrivate[12:], "public.ecr.aws", ecrPrivate} {
		if l := s.finds(look, host); l != want {
			t.Error(host, l, l.From)
		}
	}
	if s.count() != 2 {
		t.Error(s.asked)
	}
	s.at[ecrAt] = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type": "InvalidSignatureException", "message": "The Canonical String should have been\nx-amz-security-token:%s\n\nhost"}`, r.Header.Get("X-Amz-Security-Token"))
	}
	text := s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Denied)
	if text != "ask aws environment at ecr eu-west-1: denied: HTTP 400: InvalidSignatureException: The Canonical String should have been x-amz-security-token:[redacted] host" {
		t.Error(text)
	}

	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		s.at[ecrAt] = s.ecr(s.envKeys(), 12*time.Hour)
		look := ECR{s.cloud()}.Lookup()
		for _, step := range []struct {
			wait time.Duration
			asks int
		}{{0, 1}, {11*time.Hour + 54*time.Minute, 1}, {2 * time.Minute, 2}, {time.Hour, 2}} {
			time.Sleep(step.wait)
			if s.finds(look, ecrPrivate); s.count() != step.asks {
				t.Errorf("%s later: %d requests", step.wait, s.count())
			}
		}
	})
}

func TestEndpointsAreThoseOfAWSsVariables(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL"} {
		s := newSky(t).up()
		s.at["http://127.0.0.1:4566"] = s.ecr(s.envKeys(), time.Hour)
		s.vars[name] = "http://127.0.0.1:4566/"
		s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate)
	}
}

func TestWhoMayNotLogInAtThePublicRegistryReadsItAnonymously(t *testing.T) {
	s := newSky(t).up()
	s.envKeys()
	for why, anonymous := range map[string]bool{"AccessDeniedException": true, "UnrecognizedClientException": true, "ExpiredTokenException": false} {
		no := func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"__type": %q, "message": "no"}`, why)
		}
		s.at["https://api.ecr-public.us-east-1.amazonaws.com"], s.at[ecrAt] = no, no
		look := ECR{s.cloud()}.Lookup()
		if _, ok, err := look(t.Context(), ref.Repo{Host: "public.ecr.aws"}); ok || (err == nil) != anonymous {
			t.Error(why, ok, err)
		}
		s.refuses(look, ecrPrivate, fault.Denied)
	}
}

// roleXML returns the answer of STS to an action.
func roleXML(action string, k awsKeys) string {
	return `<` + action + `Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><` + action + `Result><AssumedRoleUser><Arn>x</Arn></AssumedRoleUser><Credentials>` +
		`<AccessKeyId>` + k.id + `</AccessKeyId><SecretAccessKey>` + k.secret.Reveal() + `</SecretAccessKey><SessionToken>` + k.session.Reveal() +
		`</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></` + action + `Result></` + action + `Response>`
}

func TestIRSATradesTheClustersTokenForARole(t *testing.T) {
	s := newSky(t).up()
	temporary := awsKeys{id: "ASIAWEB", secret: New(canary), session: New(canary + "-session")}
	s.vars = map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": s.write("token", canary+"-oidc\n")}
	s.at[ecrAt] = s.ecr(temporary, time.Hour)
	s.at[stsAt] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the request is signed, but this action is not")
		}
		s.demand(url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::1:role/r"}, "RoleSessionName": {"dray"},
			"WebIdentityToken": {canary + "-oidc"}}, roleXML("AssumeRoleWithWebIdentity", temporary))(w, r)
	}
	if l := s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate); l.From != "aws web identity role arn:aws:iam::1:role/r" {
		t.Error(l.From)
	}
	s.at[stsAt] = func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not for %s</Message></Error></ErrorResponse>`, r.PostForm.Get("WebIdentityToken"))
	}
	if text := s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Denied); !strings.HasSuffix(text, "HTTP 403: AccessDenied: not for [redacted]") {
		t.Error(text)
	}
	s.at[stsAt] = func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<AssumeRoleWithWebIdentityResponse/>")
	}
	s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Denied)
}

func TestProfilesGiveKeysOrTakeOnRoles(t *testing.T) {
	s := newSky(t).up()
	s.write(".aws/credentials", "# mine\n[default]\naws_access_key_id=AKIDDEF\naws_secret_access_key = "+canary+"\n\n[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = "+canary+"-base\n")
	s.write(".aws/config", "[default]\nregion = us-east-2\ns3 =\n  aws_access_key_id = nested\n[profile base]\naws_access_key_id = hidden\n"+
		"[profile Dev]\nrole_arn = arn:aws:iam::1:role/dev # a comment\nsource_profile = base\nexternal_id = 42\nrole_session_name = me\n"+
		"[profile env]\nrole_arn = r\ncredential_source = Environment\n[profile loop]\nrole_arn = r\nsource_profile = loop2\n[profile loop2]\nrole_arn = r\nsource_profile = loop\n"+
		"[profile sso]\nsso_session = corp\n[profile mfa]\nrole_arn = r\nmfa_serial = m\nsource_profile = base\n[profile empty]\noutput = json\n[sso-session corp]\nsso_region = x\n")
	deflt := awsKeys{id: "AKIDDEF", secret: New(canary)}
	s.at[ecrAt] = s.ecr(deflt, time.Hour)
	if l := s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate); l.From != "aws profile default" {
		t.Error(l.From)
	}
	role := awsKeys{id: "ASIAROLE", secret: New(canary), session: New(canary + "-session")}
	s.at[ecrAt] = s.ecr(role, time.Hour)
	s.vars["AWS_PROFILE"] = "Dev"
	s.at[stsAt] = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if s.verify(r, string(body), awsKeys{id: "AKIDBASE", secret: New(canary + "-base")}, "eu-west-1", "sts") {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			s.demand(url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::1:role/dev"}, "RoleSessionName": {"me"}, "ExternalId": {"42"}},
				roleXML("AssumeRole", role))(w, r)
		}
	}
	if l := s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate); l.From != "aws profile Dev" {
		t.Error(l.From)
	}
	s.at[stsAt] = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>%s %s-base %s</Message></Error></ErrorResponse>", r.Header.Get("Authorization")[:30], canary, body)
	}
	s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Denied)
	for profile, why := range map[string]string{
		"none": "no such profile", "env": "source_profile or credential_source has no credentials", "loop": "more than 5 roles",
		"sso": "SSO", "mfa": "mfa_serial", "empty": "no credentials that dray supports",
	} {
		s.vars["AWS_PROFILE"] = profile
		if text := s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Invalid); !strings.Contains(text, why) {
			t.Errorf("%s: %s", profile, text)
		}
	}
}

func TestARoleStandsOnTheIdentityThatTheProfileNames(t *testing.T) {
	s := newSky(t).up()
	role := awsKeys{id: "ASIAROLE", secret: New(canary), session: New(canary + "-session")}
	doc := `{"Code": "Success", "AccessKeyId": "AKIDBASE", "SecretAccessKey": "` + canary + `-base", "Token": "` + canary + `-bsession"}`
	base := awsKeys{id: "AKIDBASE", secret: New(canary + "-base"), session: New(canary + "-bsession")}
	s.at["http://169.254.170.2"] = s.asksFor("/creds", "", "Authorization", "", doc)
	s.at[imdsHost] = s.ec2("builder", doc)
	s.at["https://api.ecr.cn-north-1.amazonaws.com.cn"] = s.grants(role, "cn-north-1", "ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", `{"authorizationData": [%s]}`, time.Hour)
	s.at["https://sts.cn-northwest-1.amazonaws.com.cn"] = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if s.verify(r, string(body), base, "cn-northwest-1", "sts") {
			io.WriteString(w, roleXML("AssumeRole", role))
		}
	}
	keys := "aws_access_key_id = AKIDBASE\naws_secret_access_key = " + canary + "-base\naws_session_token = " + canary + "-bsession\n"
	for what, profile := range map[string]string{"itself": "source_profile = ci\n" + keys, "env": "credential_source = Environment",
		"ecs": "credential_source = EcsContainer", "ec2": "credential_source = Ec2InstanceMetadata"} {
		s.vars = map[string]string{"AWS_PROFILE": "ci", "AWS_REGION": "cn-northwest-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/creds"}
		s.write(".aws/config", "[profile ci]\nrole_arn = arn:aws-cn:iam::1:role/r\n"+profile)
		a := &aws{s.cloud().machine()}
		if what == "env" { // keys in the environment would take precedence, so the profile is looked up directly
			s.vars["AWS_ACCESS_KEY_ID"], s.vars["AWS_SECRET_ACCESS_KEY"], s.vars["AWS_SESSION_TOKEN"] = base.id, base.secret.Reveal(), base.session.Reveal()
		}
		k, ok, err := a.fromProfile(t.Context(), "cn-northwest-1")
		if k.from = ""; !ok || err != nil || k != role {
			t.Errorf("%s: %v %v", what, ok, err)
		}
		if what != "env" {
			s.finds(ECR{s.cloud()}.Lookup(), "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn")
		}
	}
	s.vars = map[string]string{"AWS_PROFILE": "web"}
	s.write(".aws/config", "[profile web]\nrole_arn = r\nweb_identity_token_file = "+s.write("oidc", canary)+"\n")
	s.at[stsAt] = s.demand(url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"r"}, "RoleSessionName": {"dray"},
		"WebIdentityToken": {canary}}, roleXML("AssumeRoleWithWebIdentity", role))
	s.at[ecrAt] = s.ecr(role, time.Hour)
	s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate)
}

func TestContainersGiveKeysAtTheirAddressesOnly(t *testing.T) {
	s := newSky(t).up()
	temporary := awsKeys{id: "ASIAECS", secret: New(canary), session: New(canary + "-session")}
	doc := `{"RoleArn": "r", "AccessKeyId": "ASIAECS", "SecretAccessKey": "` + canary + `", "Token": "` + canary + `-session", "Expiration": "2030-01-01T00:00:00Z"}`
	file := s.write("pod", canary+"-file\n")
	for _, tt := range []struct{ at, name, value, pass string }{
		{"http://169.254.170.2", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1", ""},
		{"http://169.254.170.23", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v2/credentials/1", canary + "-file"},
		{"http://[fd00:ec2::23]", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v2/credentials/1", canary + "-file"},
		{"http://localhost:1338", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:1338/v2/credentials/1", canary},
		{"https://creds.example", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://creds.example/v2/credentials/1", canary},
	} {
		clear(s.at)
		s.at[ecrAt] = s.ecr(temporary, time.Hour)
		s.vars = map[string]string{tt.name: tt.value, "AWS_CONTAINER_AUTHORIZATION_TOKEN": tt.pass}
		if strings.HasSuffix(tt.pass, "-file") {
			s.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"], s.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = file, "not this"
		}
		s.at[tt.at] = s.asksFor("/v2/credentials/1", "", "Authorization", tt.pass, doc)
		if l := s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate); l.From != "aws container credentials" {
			t.Error(l.From)
		}
		s.at[tt.at] = parrot(http.StatusUnauthorized)
		s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Denied)
	}
}

// ec2 is the metadata service of a machine with a role. It supports version 2 only.
func (s *sky) ec2(role, doc string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		const keys = "/latest/meta-data/iam/security-credentials/"
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "" && r.Header.Get("X-Forwarded-For") == "":
			io.WriteString(w, canary+"-imds")
		case r.Method != http.MethodGet || r.Header.Get("X-aws-ec2-metadata-token") != canary+"-imds":
			w.WriteHeader(http.StatusUnauthorized)
		case role != "" && r.URL.Path == keys:
			io.WriteString(w, role+"\n")
		case role != "" && r.URL.Path == keys+role:
			io.WriteString(w, doc)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

func TestAMachinesRoleIsReadByVersion2OfItsMetadata(t *testing.T) {
	s := newSky(t).up()
	temporary := awsKeys{id: "ASIAEC2", secret: New(canary), session: New(canary + "-session")}
	doc := `{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAEC2", "SecretAccessKey": "` + canary + `", "Token": "` + canary + `-session", "Expiration": "2030-01-01T00:00:00Z"}`
	s.at[ecrAt] = s.ecr(temporary, time.Hour)
	s.at[imdsHost] = s.ec2("builder", doc)
	if l := s.finds(ECR{s.cloud()}.Lookup(), ecrPrivate); l.From != "aws instance metadata role builder" {
		t.Error(l.From)
	}
	s.at[imdsHost] = s.ec2("builder", `{"Code": "AssumeRoleUnauthorizedAccess", "Message": "no"}`)
	if text := s.refuses(ECR{s.cloud()}.Lookup(), ecrPrivate, fault.Denied); !strings.HasSuffix(text, "AssumeRoleUnauthorizedAccess") {
		t.Error(text)
	}
	s.at[imdsHost] = s.ec2("", "")
	if _, ok, err := (ECR{s.cloud()}).Lookup()(t.Context(), ref.Repo{Host: ecrPrivate}); ok || err != nil {
		t.Error(ok, err)
	}
	delete(s.at, imdsHost)
	s.vars["AWS_EC2_METADATA_DISABLED"] = "TRUE"
	asked := s.count()
	if _, ok, err := (ECR{s.cloud()}).Lookup()(t.Context(), ref.Repo{Host: ecrPrivate}); ok || err != nil || s.count() != asked {
		t.Error(ok, err)
	}
}
