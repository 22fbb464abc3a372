package credential

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/drayage/dray/ref"
)

// Google finds access tokens for Artifact Registry and Container Registry (gcr.io, *.gcr.io, *-docker.pkg.dev).
// The user is "oauth2accesstoken". The sources are, in this order:
//
//  1. the file $GOOGLE_APPLICATION_CREDENTIALS, or else gcloud's application_default_credentials.json in
//     $CLOUDSDK_CONFIG or ~/.config/gcloud. Its type is authorized_user, service_account or
//     external_account (with the token of the subject in a file or at a URL);
//  2. the metadata service of Google's machines and clusters, at $GCE_METADATA_HOST or its fixed address.
//
// The scope of the token is cloud-platform. What it allows depends on the roles of the identity.
type Google struct{ Cloud }

// Lookup returns a Lookup for the registries of Google. [Cloud] describes its errors, its cache and its
// concurrency.
func (g Google) Lookup() Lookup { return g.on(g.machine()) }

func (g Google) on(m *machine) Lookup {
	w := &google{m}
	return func(ctx context.Context, repo ref.Repo) (Login, bool, error) {
		h := repo.Host
		if h != "gcr.io" && !strings.HasSuffix(h, ".gcr.io") && !strings.HasSuffix(h, "-docker.pkg.dev") {
			return Login{}, false, nil
		}
		return w.once(ctx, "google", func(ctx context.Context) found { return first(ctx, w.file, w.metadata) })
	}
}

func (g *google) metadata(ctx context.Context) found {
	named := g.env("GCE_METADATA_HOST")
	host := orElse(named, googleMeta)
	if host == "metadata.google.internal" || host == "metadata" {
		host = googleMeta // the address, so that no DNS server can redirect the request
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	const flavor = "Metadata-Flavor"
	q := question{who: "google metadata service", header: map[string]string{flavor: "Google"},
		url: "http://" + host + "/computeMetadata/v1/instance/service-accounts/default/token"}
	if named != "" {
		t, err := g.getToken(ctx, q)
		return g.grant(q.who, t, err)
	}
	r, ok, err := g.probe(ctx, q)
	// Every answer of Google's service has this header. It answers 404 if the machine has no account.
	if err != nil || !ok || r.header.Get(flavor) != "Google" || r.status == http.StatusNotFound {
		return found{err: err}
	}
	var a tokenAnswer
	if err := q.read(r, &a); err != nil {
		return found{err: err}
	}
	t, err := q.token(a)
	return g.grant(q.who, t, err)
}
