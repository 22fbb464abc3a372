package dray

import (
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

const someDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func configured(t *testing.T, fallback string) *Dray {
	t.Helper()
	d, err := New(Config{Default: fallback, Registries: map[string]Registry{
		"prod": {Host: "prod.example.com:5000"},
		"lab":  {Host: "lab.example.com", Settings: Settings{PlainHTTP: true}},
		"acme": {Host: "acme.azurecr.io"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const resourceID = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/Acme"

func TestImportReadsNamesAsAzDoesAndMore(t *testing.T) {
	for _, tt := range []struct {
		about, fallback string
		req             ImportRequest
		source          string
		targets         string
		note            string
	}{
		{about: "az's own example", req: ImportRequest{Source: "docker.io/library/hello-world:latest", Target: "myregistry", Images: []string{"hello-world:latest"}},
			source: "docker.io/library/hello-world:latest", targets: "myregistry.azurecr.io/hello-world:latest"},
		{about: "the source's tag where the target has none", req: ImportRequest{Source: "mcr.microsoft.com/dotnet/sdk:8.0", Target: "prod", Images: []string{"sdk"}},
			source: "mcr.microsoft.com/dotnet/sdk:8.0", targets: "prod.example.com:5000/sdk:8.0"},
		{about: "neither image nor repository", req: ImportRequest{Source: "nginx", Target: "prod"},
			source: "docker.io/library/nginx:latest", targets: "prod.example.com:5000/library/nginx:latest"},
		{about: "by digest and neither: no tag, and no latest", req: ImportRequest{Source: "a.io/x/y@" + someDigest, Target: "prod"},
			source: "a.io/x/y@" + someDigest, targets: "prod.example.com:5000/x/y", note: "without a tag"},
		{about: "by digest, with a name without a tag", req: ImportRequest{Source: "a.io/x@" + someDigest, Target: "prod", Images: []string{"y"}},
			source: "a.io/x@" + someDigest, targets: "prod.example.com:5000/y:latest", note: "becomes prod.example.com:5000/y:latest"},
		{about: "tag and digest: the digest decides, the tag names", req: ImportRequest{Source: "a.io/x:v1@" + someDigest, Target: "prod"},
			source: "a.io/x:v1@" + someDigest, targets: "prod.example.com:5000/x:v1"},
		{about: "images and repositories mix", req: ImportRequest{Source: "a.io/x:v1", Target: "prod", Images: []string{"b:1", "c"}, Repositories: []string{"d"}},
			source: "a.io/x:v1", targets: "prod.example.com:5000/b:1 prod.example.com:5000/c:v1 prod.example.com:5000/d"},
		{about: "the login server as the target's name", req: ImportRequest{Source: "a.io/x:v1", Target: "Acme.azurecr.io"},
			source: "a.io/x:v1", targets: "acme.azurecr.io/x:v1"},
		{about: "a host with a port, and localhost", req: ImportRequest{Source: "localhost:5000/x:v1", Target: "localhost"},
			source: "localhost:5000/x:v1", targets: "localhost/x:v1"},
		{about: "a source registry by resource ID", req: ImportRequest{Source: "app:v1", SourceRegistry: resourceID, Target: "prod"},
			source: "acme.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1"},
		{about: "a source registry by resource ID in another case", req: ImportRequest{Source: "app:v1", SourceRegistry: strings.ToUpper(resourceID), Target: "prod"},
			source: "acme.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1"},
		{about: "a redundant host in the source", req: ImportRequest{Source: "ACME.azurecr.io/app:v1", SourceRegistry: "acme", Target: "prod"},
			source: "acme.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1", note: "--registry names the registry already"},
		{about: "with --registry nothing else is a host", req: ImportRequest{Source: "docker.io/app:v1", SourceRegistry: "acme", Target: "prod"},
			source: "acme.azurecr.io/docker.io/app:v1", targets: "prod.example.com:5000/docker.io/app:v1"},
		{about: "the default registry", fallback: "prod", req: ImportRequest{Source: "acme/app:v1", Images: []string{"app"}},
			source: "acme.azurecr.io/app:v1", targets: "prod.example.com:5000/app:v1"},
		{about: "full names without a registry", req: ImportRequest{Source: "prod/app:v1", Images: []string{"lab/app", "http://lab.example.com/b:2", "localhost:5000/c"}},
			source: "prod.example.com:5000/app:v1", targets: "lab.example.com/app:v1 lab.example.com/b:2 localhost:5000/c:v1"},
		{about: "a redundant host in an image", req: ImportRequest{Source: "prod/app:v1", Target: "acme", Images: []string{"acme.azurecr.io/app"}},
			source: "prod.example.com:5000/app:v1", targets: "acme.azurecr.io/app:v1", note: "--name names the registry already"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			names, err := configured(t, tt.fallback).importNames(tt.req, asAz)
			if err != nil {
				t.Fatal(err)
			}
			var to []string
			for _, n := range names.targets {
				to = append(to, n.String())
			}
			if names.source.String() != tt.source || strings.Join(to, " ") != tt.targets {
				t.Errorf("%s -> %s\nwant %s -> %s", names.source, strings.Join(to, " "), tt.source, tt.targets)
			}
			if all := strings.Join(names.notes, "; "); (tt.note == "") != (all == "") || !strings.Contains(all, tt.note) {
				t.Errorf("notes %q, want %q", all, tt.note)
			}
		})
	}
}

func TestImportRefusesWhatItCanNotRead(t *testing.T) {
	for _, tt := range []struct {
		about string
		req   ImportRequest
		want  string
	}{
		{"no source", ImportRequest{Target: "prod"}, "no source"},
		{"no target", ImportRequest{Source: "nginx"}, "no target"},
		{"a bare image without a registry", ImportRequest{Source: "nginx", Images: []string{"nginx:v1"}}, "no registry"},
		{"a target by digest", ImportRequest{Source: "nginx", Target: "prod", Images: []string{"x@" + someDigest}}, "not a digest"},
		{"a repository with a tag", ImportRequest{Source: "nginx", Target: "prod", Repositories: []string{"x:1"}}, "manifest-only copy has no tag"},
		{"an empty image", ImportRequest{Source: "nginx", Target: "prod", Images: []string{""}}, "empty target name"},
		{"a registry that can not be", ImportRequest{Source: "nginx", Target: "my_registry"}, "not a configured registry"},
		{"a bad resource ID", ImportRequest{Source: "x", SourceRegistry: "/subscriptions/s/resourceGroups/rg", Target: "prod"}, "not the ID of a container registry"},
		{"http to a host that is not configured for it", ImportRequest{Source: "http://a.example/x", Target: "prod"}, "a.example"},
		{"credentials in a name", ImportRequest{Source: "me:hunter2@a.io/x", Target: "prod"}, "no credentials"},
		{"upper case", ImportRequest{Source: "nginx", Target: "prod", Images: []string{"Nginx"}}, "lower case"},
	} {
		_, err := configured(t, "").importNames(tt.req, asAz)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.about, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "subscriptions")) {
			t.Errorf("%s: tells too much: %v", tt.about, err)
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
		host, prefix, ok, err := d.registryName(in)
		got := ""
		if ok {
			got = host + " " + prefix
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestNewRefusesLimitsAndNamesThatCanNotBe(t *testing.T) {
	for about, c := range map[string]Config{
		"a negative limit":       {Limits: Limits{Blobs: -1}},
		"a name like a host":     {Registries: map[string]Registry{"a.b": {Host: "x.io"}}},
		"a host that is none":    {Registries: map[string]Registry{"x": {Host: "no host"}}},
		"a default that is none": {Default: "prod"},
	} {
		if _, err := New(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", about, err)
		}
	}
}

func TestATargetOfAListMayBeAFullName(t *testing.T) {
	d := configured(t, "")
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, tt := range []struct {
		entry BatchEntry
		want  string
	}{
		{BatchEntry{Source: "nginx:1", Targets: []string{"web:v1"}}, "reg.example:5000/web:v1"},
		{BatchEntry{Source: "nginx:1", Targets: []string{"team/web"}}, "reg.example:5000/team/web:1"},
		{BatchEntry{Source: "nginx:1", Targets: []string{"other.example/web"}}, "other.example/web:1"},
		{BatchEntry{Source: "nginx:1", Targets: []string{"reg.example:5000/web"}}, "reg.example:5000/web:1"},
		{BatchEntry{Source: "nginx:1", Targets: []string{"localhost/web"}, Paths: true}, "reg.example:5000/localhost/web:1"},
		{BatchEntry{Source: "nginx:1", Targets: []string{"other.example/web"}, Paths: true}, "reg.example:5000/other.example/web:1"},
		{BatchEntry{Source: "nginx:1", Targets: []string{"oci:dir:v1"}}, "oci:dir:v1"},
		{BatchEntry{Source: "nginx@" + digest, Targets: []string{"web"}}, "reg.example:5000/web"},
		{BatchEntry{Source: "nginx@" + digest}, "reg.example:5000/library/nginx"},
		{BatchEntry{Source: "nginx:1@" + digest}, "reg.example:5000/library/nginx:1"},
	} {
		_, to, err := d.EntryNames(tt.entry, "reg.example:5000")
		if err != nil || len(to) != 1 || to[0].String() != tt.want {
			t.Errorf("%+v: %v %v, want %s", tt.entry, to, err, tt.want)
		}
	}
	for _, paths := range []string{"web", "other.example/web"} {
		if _, to, err := d.EntryNames(BatchEntry{Source: "nginx:1", Targets: []string{paths}, Paths: true}, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v %v, and no registry was named", paths, to, err)
		}
	}
}
