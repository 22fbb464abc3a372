package name

import (
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/plan"
)

const someDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func configured(t *testing.T, fallback string) *Reader {
	t.Helper()
	client, err := remote.New(remote.Options{Hosts: map[string]credential.Settings{"lab.example.com": {PlainHTTP: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return &Reader{Default: fallback, Pin: client.Pin, Hosts: map[string]string{
		"prod": "prod.example.com:5000", "lab": "lab.example.com", "acmeco": "acmeco.azurecr.io",
	}}
}

// noted returns r as it reads the names of one request, and the notes that it makes.
func noted(r *Reader) (*Reader, *[]string) {
	notes := &[]string{}
	return r.Noting(func(e event.Event) { *notes = append(*notes, e.Text) }), notes
}

const resourceID = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/Acmeco"

func TestImportReadsNamesAsAzDoesAndMore(t *testing.T) {
	for _, tt := range []struct {
		about, fallback string
		req             Request
		source          string
		targets         string
		note            string
	}{
		{about: "az's own example", req: Request{Source: "docker.io/library/hello-world:latest", Target: "myregistry", Images: []string{"hello-world:latest"}},
			source: "docker.io/library/hello-world:latest", targets: "myregistry.azurecr.io/hello-world:latest", note: "myregistry is read as myregistry.azurecr.io: no registry of this name is configured"},
		{about: "the source's tag where the target has none", req: Request{Source: "mcr.microsoft.com/dotnet/sdk:8.0", Target: "prod", Images: []string{"sdk"}},
			source: "mcr.microsoft.com/dotnet/sdk:8.0", targets: "prod.example.com:5000/sdk:8.0"},
		{about: "neither image nor repository", req: Request{Source: "nginx", Target: "prod"},
			source: "docker.io/library/nginx:latest", targets: "prod.example.com:5000/library/nginx:latest"},
		{about: "by digest and neither: no tag, and no latest", req: Request{Source: "a.io/x/y@" + someDigest, Target: "prod"},
			source: "a.io/x/y@" + someDigest, targets: "prod.example.com:5000/x/y", note: "without a tag"},
		{about: "by digest, with a name without a tag", req: Request{Source: "a.io/x@" + someDigest, Target: "prod", Images: []string{"y"}},
			source: "a.io/x@" + someDigest, targets: "prod.example.com:5000/y:latest", note: "becomes prod.example.com:5000/y:latest"},
		{about: "tag and digest: the digest decides, the tag names", req: Request{Source: "a.io/x:v1@" + someDigest, Target: "prod"},
			source: "a.io/x:v1@" + someDigest, targets: "prod.example.com:5000/x:v1"},
		{about: "images and repositories mix", req: Request{Source: "a.io/x:v1", Target: "prod", Images: []string{"b:1", "c"}, Repositories: []string{"d"}},
			source: "a.io/x:v1", targets: "prod.example.com:5000/b:1 prod.example.com:5000/c:v1 prod.example.com:5000/d"},
		{about: "the login server as the target's name", req: Request{Source: "a.io/x:v1", Target: "Acmeco.azurecr.io"},
			source: "a.io/x:v1", targets: "acmeco.azurecr.io/x:v1"},
		{about: "a host with a port, and localhost", req: Request{Source: "localhost:5000/x:v1", Target: "localhost"},
			source: "localhost:5000/x:v1", targets: "localhost/x:v1"},
		{about: "a source registry by resource ID", req: Request{Source: "app:v1", SourceRegistry: resourceID, Target: "prod"},
			source: "acmeco.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1"},
		{about: "a source registry by resource ID in another case", req: Request{Source: "app:v1", SourceRegistry: strings.ToUpper(resourceID), Target: "prod"},
			source: "acmeco.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1"},
		{about: "a redundant host in the source", req: Request{Source: "ACMECO.azurecr.io/app:v1", SourceRegistry: "acmeco", Target: "prod"},
			source: "acmeco.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1", note: "--registry names the registry already"},
		{about: "with --registry nothing else is a host", req: Request{Source: "docker.io/app:v1", SourceRegistry: "acmeco", Target: "prod"},
			source: "acmeco.azurecr.io/docker.io/app:v1", targets: "prod.example.com:5000/docker.io/app:v1"},
		{about: "the default registry", fallback: "prod", req: Request{Source: "acmeco/app:v1", Images: []string{"app"}},
			source: "acmeco.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1"},
		{about: "full names without a registry", req: Request{Source: "prod/app:v1", Images: []string{"lab/app", "http://lab.example.com/b:2", "localhost:5000/c"}},
			source: "prod.example.com:5000/app:v1", targets: "lab.example.com/app:v1 lab.example.com/b:2 localhost:5000/c:v1"},
		{about: "a redundant host in an image", req: Request{Source: "prod/app:v1", Target: "acmeco", Images: []string{"acmeco.azurecr.io/app"}},
			source: "prod.example.com:5000/app:v1", targets: "acmeco.azurecr.io/app:v1", note: "--name names the registry already"},
		{about: "a redundant name in an image", req: Request{Source: "lab/app:v1", Target: "prod", Images: []string{"prod/app"}},
			source: "lab.example.com/app:v1", targets: "prod.example.com:5000/app:v1", note: `"prod" in --image is ignored: --name names the registry already`},
		{about: "a redundant name of the default registry", fallback: "prod", req: Request{Source: "lab/app:v1", Repositories: []string{"prod/app"}},
			source: "lab.example.com/app:v1", targets: "prod.example.com:5000/app", note: `"prod" in --image is ignored: the default names the registry already`},
		{about: "a path like the name, with the registry named by its host", req: Request{Source: "lab/app:v1", Target: "prod.example.com:5000", Images: []string{"prod/app"}},
			source: "lab.example.com/app:v1", targets: "prod.example.com:5000/prod/app:v1", note: `prod/app is read as prod.example.com:5000/prod/app, although "prod" is a configured registry`},
		{about: "another configured name in an image", req: Request{Source: "lab/app:v1", Target: "prod", Images: []string{"lab/app"}},
			source: "lab.example.com/app:v1", targets: "prod.example.com:5000/lab/app:v1", note: `although "lab" is a configured registry`},
		{about: "another host in an image", req: Request{Source: "lab/app:v1", Target: "prod", Images: []string{"ghcr.io/acme/app"}},
			source: "lab.example.com/app:v1", targets: "prod.example.com:5000/ghcr.io/acme/app:v1", note: `although "ghcr.io" looks like a host`},
		{about: "nearly a configured name in an image", req: Request{Source: "lab/app:v1", Target: "prod", Images: []string{"prdo/app"}},
			source: "lab.example.com/app:v1", targets: "prod.example.com:5000/prdo/app:v1", note: `although "prdo" resembles the configured registry "prod"`},
		{about: "a word in an image", req: Request{Source: "lab/app:v1", Target: "prod", Images: []string{"prod"}},
			source: "lab.example.com/app:v1", targets: "prod.example.com:5000/prod:v1"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			reader, notes := noted(configured(t, tt.fallback))
			names, err := reader.Import(tt.req, AsAz)
			if err != nil {
				t.Fatal(err)
			}
			var to []string
			for _, n := range names.Targets {
				to = append(to, n.String())
			}
			if names.Source.String() != tt.source || strings.Join(to, " ") != tt.targets {
				t.Errorf("%s -> %s\nwant %s -> %s", names.Source, strings.Join(to, " "), tt.source, tt.targets)
			}
			if all := strings.Join(*notes, "; "); (tt.note == "") != (all == "") || !strings.Contains(all, tt.note) {
				t.Errorf("notes %q, want %q", all, tt.note)
			}
		})
	}
}

func TestImportRefusesWhatItCanNotRead(t *testing.T) {
	for _, tt := range []struct {
		about string
		req   Request
		want  string
	}{
		{"no source", Request{Target: "prod"}, "no source"},
		{"no target", Request{Source: "nginx"}, "no target"},
		{"a bare image without a registry", Request{Source: "nginx", Images: []string{"nginx:v1"}}, "no registry"},
		{"a target by digest", Request{Source: "nginx", Target: "prod", Images: []string{"x@" + someDigest}}, "not a digest"},
		{"a repository with a tag", Request{Source: "nginx", Target: "prod", Repositories: []string{"x:1"}}, "manifest-only copy has no tag"},
		{"a source that is a registry", Request{Source: "myregistry.azurecr.io", Target: "prod"}, "names a registry, not a repository"},
		{"a source that is a registry with a tag", Request{Source: "myregistry.azurecr.io:v1", Target: "prod"}, "names a registry, not a repository"},
		{"a source that is a configured registry", Request{Source: "prod", Target: "prod"}, "names a registry, not a repository"},
		{"an empty image", Request{Source: "nginx", Target: "prod", Images: []string{""}}, "empty target name"},
		{"a name that cannot be a registry", Request{Source: "nginx", Target: "my_registry"}, "not a configured registry"},
		{"a bad resource ID", Request{Source: "x", SourceRegistry: "/subscriptions/s/resourceGroups/rg", Target: "prod"}, "not the ID of a container registry"},
		{"http to a host that is not configured for it", Request{Source: "http://a.example/x", Target: "prod"}, "a.example"},
		{"credentials in a name", Request{Source: "me:canary-7f3a91@a.io/x", Target: "prod"}, "cannot contain credentials"},
		{"upper case", Request{Source: "nginx", Target: "prod", Images: []string{"Nginx"}}, "lower case"},
	} {
		_, err := configured(t, "").Import(tt.req, AsAz)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.about, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "canary-7f3a91") || strings.Contains(err.Error(), "subscriptions")) {
			t.Errorf("%s: the error repeats a secret or a subscription: %v", tt.about, err)
		}
	}
}

func TestListTellsRegistriesFromRepositories(t *testing.T) {
	d := configured(t, "")
	for in, want := range map[string]string{
		"prod": "prod.example.com:5000 ", "prod/": "prod.example.com:5000 ", "prod/team/": "prod.example.com:5000 team/",
		"localhost:5000": "localhost:5000 ", "a.io/team/": "a.io team/", "http://localhost:5000/": "localhost:5000 ",
		"nginx": "", "prod/team": "", "a.io/x": "", "oci:dir": "", "library/nginx/": "",
	} {
		host, prefix, ok, err := d.Registry(in)
		got := ""
		if ok {
			got = host + " " + prefix
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestATargetOfAListMayBeAFullName(t *testing.T) {
	d := configured(t, "")
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, tt := range []struct {
		entry plan.Entry
		want  string
	}{
		{plan.Entry{Source: "nginx:1", Targets: []string{"web:v1"}}, "reg.example:5000/web:v1"},
		{plan.Entry{Source: "nginx:1", Targets: []string{"team/web"}}, "reg.example:5000/team/web:1"},
		{plan.Entry{Source: "nginx:1", Targets: []string{"other.example/web"}}, "other.example/web:1"},
		{plan.Entry{Source: "nginx:1", Targets: []string{"reg.example:5000/web"}}, "reg.example:5000/web:1"},
		{plan.Entry{Source: "nginx:1", Targets: []string{"localhost/web"}, Paths: true}, "reg.example:5000/localhost/web:1"},
		{plan.Entry{Source: "nginx:1", Targets: []string{"other.example/web"}, Paths: true}, "reg.example:5000/other.example/web:1"},
		{plan.Entry{Source: "nginx:1", Targets: []string{"oci:dir:v1"}}, "oci:dir:v1"},
		{plan.Entry{Source: "nginx@" + digest, Targets: []string{"web"}}, "reg.example:5000/web"},
		{plan.Entry{Source: "nginx@" + digest}, "reg.example:5000/library/nginx"},
		{plan.Entry{Source: "nginx:1@" + digest}, "reg.example:5000/library/nginx:1"},
	} {
		n, err := d.Entry(tt.entry, "reg.example:5000")
		to := n.Targets
		if err != nil || len(to) != 1 || to[0].String() != tt.want {
			t.Errorf("%+v: %v %v, want %s", tt.entry, to, err, tt.want)
		}
	}
	for _, paths := range []string{"web", "other.example/web"} {
		if n, err := d.Entry(plan.Entry{Source: "nginx:1", Targets: []string{paths}, Paths: true}, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v; want Invalid, because no registry is named", paths, n.Targets, err)
		}
	}
}

func TestATargetOfAListIsNeverInTheDefaultRegistryBecauseOfATypingError(t *testing.T) {
	for target, hint := range map[string]string{
		"prdo/x:v1":  "write prod/x:v1, or acmeco/prdo/x:v1 for a path in acmeco.azurecr.io",
		"Prod/a/b:1": "write prod/a/b:1, or acmeco/Prod/a/b:1 for a path in acmeco.azurecr.io",
	} {
		n, err := configured(t, "acmeco").Entry(plan.Entry{Source: "lab/app:v1", Targets: []string{target}}, "")
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "neither a configured registry nor a host") || fault.HintOf(err) != hint {
			t.Errorf("%s: %v, %v, hint %q; want hint %q", target, n.Targets, err, fault.HintOf(err), hint)
		}
	}
	for target, want := range map[string]string{
		"team/x:v1": "acmeco.azurecr.io/team/x:v1", "prodmirror/x": "acmeco.azurecr.io/prodmirror/x:v1", "prdo": "acmeco.azurecr.io/prdo:v1",
		"prod/x": "prod.example.com:5000/x:v1", "acmeco/prdo/x": "acmeco.azurecr.io/prdo/x:v1",
	} {
		n, err := configured(t, "acmeco").Entry(plan.Entry{Source: "lab/app:v1", Targets: []string{target}}, "")
		if err != nil || n.Targets[0].String() != want {
			t.Errorf("%s: %v, %v; want %s", target, n.Targets, err, want)
		}
	}
	r, notes := noted(configured(t, ""))
	n, err := r.Entry(plan.Entry{Source: "lab/app:v1", Targets: []string{"prdo/x"}}, "acmeco")
	if err != nil || n.Targets[0].String() != "acmeco.azurecr.io/prdo/x:v1" || len(*notes) != 1 {
		t.Errorf("with a named registry: %v, %v, notes %q; want a path and a note", n.Targets, err, *notes)
	}
}

func TestARegistryIsFoundByEveryNameThatAzTakes(t *testing.T) {
	d := configured(t, "prod")
	for name, want := range map[string]string{
		"": "prod.example.com:5000", "prod": "prod.example.com:5000", "ACMECO": "acmeco.azurecr.io", "Acmeco.azurecr.io": "acmeco.azurecr.io",
		"other": "other.azurecr.io", "reg.example": "reg.example", "localhost:5000": "localhost:5000", resourceID: "acmeco.azurecr.io",
	} {
		if got, err := d.RegistryHost(name, ""); got != want || err != nil {
			t.Errorf("%q: %s, %v, want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"no/registry", "a b", "/subscriptions/x"} {
		if got, err := d.RegistryHost(name, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %s, %v", name, got, err)
		}
	}
	if _, err := configured(t, "").RegistryHost("", ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("no name and no default: %v", err)
	}
}
