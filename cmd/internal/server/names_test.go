package server

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/internal/registry"
)

func TestAServersOwnRegistryIsTheDefaultUnderAnyName(t *testing.T) {
	hosts := []string{"dray.example", "127.0.0.1:5000"}
	for _, tt := range []struct {
		about      string
		registries map[string]dray.Registry
		configured string
		fallback   string
		own        string // the host that "dray" means
	}{
		{about: "nothing configured", fallback: "dray", own: "dray.example"},
		{about: "under another name", registries: map[string]dray.Registry{"here": {Host: "127.0.0.1:5000"}}, fallback: "here", own: "127.0.0.1:5000"},
		{about: "another registry has the name", registries: map[string]dray.Registry{"dray": {Host: "other.example"}}, fallback: "dray.example", own: "other.example"},
		{about: "another registry has the name as an alias", registries: map[string]dray.Registry{"x": {Host: "other.example", Aliases: []string{"dray"}}}, fallback: "dray.example", own: "other.example"},
		{about: "a default", registries: map[string]dray.Registry{"prod": {Host: "prod.example"}}, configured: "prod", fallback: "prod", own: "dray.example"},
		{about: "a default, and under another name", registries: map[string]dray.Registry{"prod": {Host: "prod.example"}, "here": {Host: "dray.example"}}, configured: "prod", fallback: "prod", own: "dray.example"},
	} {
		c := Config{Dray: dray.Config{Registries: tt.registries, Default: tt.configured}}
		all, fallback := c.registries(hosts)
		own := all["dray"].Host
		for _, r := range all {
			if slices.Contains(r.Aliases, "dray") {
				own = r.Host
			}
		}
		if fallback != tt.fallback || own != tt.own {
			t.Errorf("%s: the default is %q, dray means %q; want %q and %q", tt.about, fallback, own, tt.fallback, tt.own)
		}
		d, err := dray.New(dray.Config{Registries: all, Default: fallback})
		if err != nil {
			t.Errorf("%s: %v", tt.about, err)
			continue
		}
		_, targets, err := d.ImportNames(dray.ImportRequest{Source: "nginx:1"})
		if err != nil || len(targets) != 1 {
			t.Errorf("%s: an import without a target: %v, %v", tt.about, targets, err)
		}
		d.Close()
	}
	if all, fallback := (Config{}).registries(nil); len(all) != 0 || fallback != "" {
		t.Errorf("without a registry of its own: %v, %q", all, fallback)
	}
}

func TestTheHostOfAServerIsOneThatNamesCanBeginWith(t *testing.T) {
	for url, want := range map[string]string{"https://dray": "dray:443", "http://dray": "dray:80", "https://dray.example": "dray.example", "https://dray:5443": "dray:5443"} {
		c := Config{Listen: "127.0.0.1:0", PublicURL: url}
		if got := c.hosts(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5000})[0]; got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestTheHintForALoginNamesTheServerWhereItIsStored(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		addr string // "" is a worker
		want string
	}{
		{Config{Listen: "0.0.0.0:5000", PublicURL: "https://dray.example"}, "0.0.0.0:5000", "https://dray.example"},
		{Config{Listen: "127.0.0.1:5000"}, "127.0.0.1:5000", "http://127.0.0.1:5000"},
		{Config{Listen: "dray.example:5000", TLS: TLS{Cert: "x"}}, "10.0.0.1:5000", "https://dray.example:5000"},
		{Config{Listen: "0.0.0.0:5000"}, "0.0.0.0:5000", "URL"},
		{Config{Listen: "127.0.0.1:5000"}, "", "URL"},
	} {
		var hosts []string
		if tt.addr != "" {
			at, err := net.ResolveTCPAddr("tcp", tt.addr)
			if err != nil {
				t.Fatal(err)
			}
			hosts = tt.c.hosts(at)
		}
		want := "dray serve secret put reg.example-5005 reg.example:5005 -u USER --password-stdin --server " + tt.want
		if got := tt.c.signIn(hosts)("reg.example:5005"); !strings.HasSuffix(got, ": "+want) {
			t.Errorf("%+v: %s", tt.c.Listen, got)
		}
	}
}

func TestJobsMayFollowARegistryToItsObjectStore(t *testing.T) {
	for driver, tt := range map[string]struct {
		parameters map[string]any
		want       string
	}{
		"s3":    {map[string]any{"bucket": "images", "regionendpoint": "http://minio.internal:9000"}, "minio.internal:9000 images.minio.internal:9000"},
		"azure": {map[string]any{"accountname": "acme", "container": "images"}, "acme.blob.core.windows.net"},
		"gcs":   {map[string]any{"bucket": "images"}, ""},
	} {
		c := Config{Env: func(string) string { return "" }, Storage: registry.Storage{Driver: driver, Parameters: tt.parameters}}
		if _, egress := c.drayConfig(&access.Access{}, nil, nil); len(egress.Hosts) != 0 {
			t.Errorf("%s without redirects: %v", driver, egress.Hosts)
		}
		c.Storage.Redirect = true
		if _, egress := c.drayConfig(&access.Access{}, nil, nil); strings.Join(egress.Hosts, " ") != tt.want {
			t.Errorf("%s: %v", driver, egress.Hosts)
		}
	}
}
