package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// checker examines one side.
type checker struct {
	session  *place.Session
	side     fault.Side
	name     ref.Name
	repo     *remote.Repository // nil for a layout
	traits   remote.Traits
	login    credential.Login
	findings []report.Finding
	found    oci.Descriptor // what the name points to
	basic    bool           // the registry asks for a password, not for a token
	refused  bool           // the registry refused the login
}

// anyDigest is used for requests that need some digest, but for which any will do. It is the digest
// of "{}" (image-spec v1.1 §empty descriptor).
const anyDigest oci.Digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

// findingOrder is the order of the findings in a report.
var findingOrder = []string{
	"reached", "login", "token", "pull", "push", "tag", "lock", "content", "quota", "ranges", "mount",
	"resume", "referrers", "gate",
}

func (c *checker) report() report.Side {
	slices.SortStableFunc(c.findings, func(a, b report.Finding) int {
		return cmp.Compare(slices.Index(findingOrder, a.What), slices.Index(findingOrder, b.What))
	})
	return report.Side{Side: c.side, Name: c.name.String(), Product: c.traits.Product, Findings: c.findings}
}

func (c *checker) note(what string, state report.Severity, text, remedy string) {
	c.findings = append(c.findings, report.Finding{What: what, State: state, Text: text, Remedy: remedy})
}

func (c *checker) fail(what string, kind fault.Kind, text, remedy string) {
	c.findings = append(c.findings, report.Finding{What: what, State: report.Fail, Text: text, Remedy: remedy, Kind: kind})
}

// begin contacts the registry and finds the login. It returns false if no further request is
// possible.
func (c *checker) begin(ctx context.Context, actions remote.Actions) bool {
	client := c.session.Base.Remote
	c.repo = c.session.Once(c.side, c.name.Repo, actions)
	at, err := client.Contact(ctx, c.name.Host, c.session.Watch())
	c.traits = client.Traits(c.name.Host)
	switch {
	case err != nil:
		c.fail("reached", fault.KindOf(err), describeContact(at, causeOf(err)), reachRemedy(at, err))
		return false
	case at.Firewall:
		said := at.Said
		if said == "" {
			said = "every request gets 403, without a challenge for a login"
		}
		c.fail("reached", fault.Denied, describeContact(at, "a firewall refuses the request: "+said),
			"a login does not help: allow this machine's address in the registry's network rules, "+
				"use its private endpoint, or run a dray server inside that network")
		return false
	case at.Status != 200 && at.Status != 401:
		c.note("reached", report.Warn, describeContact(at, fmt.Sprintf("GET /v2/ returns status %d", at.Status)),
			cmp.Or(at.Hint, "check the host and the port: this may not be a registry"))
	default:
		c.note("reached", report.OK, describeContact(at, ""), certificateRemedy(at))
	}
	c.basic = slices.Equal(at.Asks, []string{"basic"})
	// Looked up apart from c.repo, whose refusals say whether the registry asked for a login.
	c.login, err = c.session.Once(c.side, c.name.Repo, actions).Login(ctx)
	if err != nil {
		c.fail("login", fault.KindOf(err), causeOf(err), fault.HintOf(err))
		return false
	}
	return true
}

// describeContact describes how a host is reached: scheme, TLS, certificate, addresses, proxy.
func describeContact(at remote.Contact, trouble string) string {
	parts := []string{at.Scheme}
	if at.Why != "" {
		parts[0] += " (" + at.Why + ")"
	}
	if at.TLS != "" {
		parts = append(parts, at.TLS)
	}
	if at.Issuer != "" {
		expiry := at.Expires.UTC().Format(time.DateOnly)
		parts = append(parts, fmt.Sprintf("certificate of %s, valid until %s", at.Issuer, expiry))
	}
	if at.Unchecked {
		parts = append(parts, "certificate not verified")
	}
	if at.Proxy != "" {
		parts = append(parts, "through the proxy "+at.Proxy)
	}
	switch {
	case at.Address != "":
		parts = append(parts, "at "+at.Address)
	case len(at.Addresses) > 0:
		parts = append(parts, "resolves to "+strings.Join(at.Addresses, " "))
	}
	if trouble != "" {
		parts = append(parts, trouble)
	}
	if at.Scheme == "" {
		parts = parts[1:]
	}
	return strings.Join(parts, ", ")
}

func reachRemedy(at remote.Contact, err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint
	}
	switch {
	case at.Proxy != "":
		return "check the proxy: see HTTPS_PROXY and NO_PROXY"
	case len(at.Addresses) == 0:
		return "check the spelling of the host and DNS; private endpoints resolve inside their network only"
	}
	return "check that a registry is running there and that no firewall blocks this machine"
}

// expiresSoon is the remaining time from which the expiry of a certificate is reported.
const expiresSoon = 14 * 24 * time.Hour

func certificateRemedy(at remote.Contact) string {
	if !at.Expires.IsZero() && time.Until(at.Expires) < expiresSoon {
		return "the certificate expires soon"
	}
	return ""
}

// pull resolves the name. This shows whether the login may read it, and whether it exists. pull
// returns false if the digest of the name is not known.
func (c *checker) pull(ctx context.Context) bool {
	asked := c.name.Tag
	if c.side == fault.Source {
		asked = survey.Reference(c.name)
	} else if asked == "" {
		asked = string(anyDigest) // the content is copied by digest: no tag can conflict
	}
	desc, err := c.repo.Resolve(ctx, asked)
	if !c.checkLogin(err) {
		return false
	}
	c.checkToken(ctx)
	c.quota()
	switch {
	case err == nil:
		c.found = desc
		c.note("pull", report.OK, "the manifest may be read", "")
		if c.side == fault.Source {
			c.note("tag", report.OK, "found: "+string(desc.Digest), "")
		}
		return true
	case fault.Is(err, fault.NotFound) && c.side == fault.Target:
		if c.name.Tag != "" {
			c.note("tag", report.OK, "free", "")
		}
	case fault.Is(err, fault.NotFound):
		c.fail("tag", fault.NotFound, causeOf(err), c.suggestNames(ctx))
	case fault.Is(err, fault.Denied):
		c.failDenied("pull", err)
	default:
		c.fail("pull", fault.KindOf(err), causeOf(err), fault.HintOf(err))
	}
	return false
}

// checkLogin reports which login was used, and whether the registry or its token service accepted
// it.
func (c *checker) checkLogin(err error) bool {
	var f *fault.Fault
	for e := err; errors.As(e, &f); e = f.Err {
		if f.Op != "get a token for" {
			continue
		}
		remedy := c.signIn()
		if hint := fault.HintOf(f); hint != "" {
			remedy = hint
		}
		if f.Kind == fault.Denied && c.traits.Slow != "" && !c.login.IsAnonymous() {
			remedy += "; " + c.traits.Slow
		}
		c.refused = true
		c.fail("login", f.Kind, causeOf(f), remedy)
		return false
	}
	if c.basic && !c.login.IsAnonymous() && errors.Is(err, remote.ErrUnauthorized) {
		c.refused = true
		c.fail("login", fault.Denied, causeOf(err), fault.HintOf(err))
		return false
	}
	c.note("login", report.OK, describeLogin(c.login), "")
	return true
}

// describeLogin names the user or kind of a login and its origin, but no secret.
func describeLogin(l credential.Login) string { return cmp.Or(l.Identity(), "none: anonymous") }

// checkToken compares the actions that the token grants with those that were requested.
func (c *checker) checkToken(ctx context.Context) {
	if missing, known, err := c.repo.Granted(ctx); err == nil && known && len(missing) > 0 {
		lacks := strings.Join(missing, " and ")
		c.note("token", report.Warn, fmt.Sprintf("the token does not grant %s, which was requested", lacks), "")
	}
}

// quota reports what is left of a pull limit. It uses the headers of earlier responses and sends no
// request.
func (c *checker) quota() {
	b, _ := c.session.Base.Remote.Budget(c.name.Host)
	window := ""
	if b.Window > 0 {
		window = " in " + b.Window.String()
	}
	switch {
	case b.Limit == 0:
	case b.Spent():
		c.fail("quota", fault.Throttled, fmt.Sprintf("none of %d pulls left%s", b.Limit, window),
			"wait until pulls are available again, or "+c.signIn())
	default:
		c.note("quota", report.OK, fmt.Sprintf("%d of %d pulls left%s", b.Remaining, b.Limit, window), "")
	}
}

// signIn is the hint for a user who needs a login at this host.
func (c *checker) signIn() string { return c.session.Base.Remote.SignInHint(c.name.Host) }

// failDenied reports a refusal with the hint that a copy would give.
func (c *checker) failDenied(what string, err error) {
	remedy := cmp.Or(fault.HintOf(err), c.signIn())
	if c.traits.Slow != "" && !c.login.IsAnonymous() && !remote.IsBarred(err) {
		remedy += "; " + c.traits.Slow
	}
	c.fail(what, fault.Denied, causeOf(err), remedy)
}

// suggestNames suggests names similar to the missing tag or repository.
func (c *checker) suggestNames(ctx context.Context) string {
	if c.name.Tag == "" {
		return "check the digest: it may belong to another repository"
	}
	ctx, cancel := context.WithTimeout(ctx, nearest.Limit)
	defer cancel()
	tags, err := c.repo.FirstTags(ctx)
	if near := name.Similar(c.name.Tag, tags); len(near) > 0 {
		return "similar tags in this repository: " + strings.Join(near, ", ")
	}
	if err == nil {
		return fmt.Sprintf("the repository exists, but has no tag similar to %s", c.name.Tag)
	}
	use := remote.Use{Login: c.session.Logins[c.side], Observe: c.session.Watch()}
	repos, _ := c.session.Base.Remote.FirstRepositories(ctx, c.name.Host, use)
	if near := name.Similar(c.name.Path, repos); len(near) > 0 {
		return "similar repositories in this registry: " + strings.Join(near, ", ")
	}
	return "check the spelling of the repository, and whether this login may see it"
}

func (c *checker) referrers(ctx context.Context, d oci.Descriptor) {
	switch has, known, err := c.repo.HasReferrers(ctx, d); {
	case err != nil, !known:
		c.note("referrers", report.Unknown, "the registry's response does not show it", "")
	case has:
		c.note("referrers", report.OK, "the registry lists them", "")
	default:
		c.note("referrers", report.OK, "no API for them: referrers are stored under tags", "")
	}
}

// causeOf returns the text of the innermost error. The report already names side, verb and name.
func causeOf(err error) string {
	var f *fault.Fault
	for errors.As(err, &f) && f.Err != nil {
		err = f.Err
	}
	return err.Error()
}
