package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/config/azure"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/config/storing"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	mark "github.com/drayage/dray/internal/testbed/canary"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

const canary = mark.Word

func write(t *testing.T, dir, content string) string {
	t.Helper()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheExampleIsReadKeyByKey(t *testing.T) {
	path := filepath.Join("testdata", "example.yaml")
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	got, err := Loader{Home: home}.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	allow, err := plan.ParsePatterns("docker.io/library/*", "ghcr.io/acme/*")
	if err != nil {
		t.Fatal(err)
	}
	deny, err := plan.ParsePatterns("*/experimental/*")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Path: path, Default: "prod", Referrers: plan.Referrers{
		Mode: "require", Types: []string{"application/vnd.dev.sigstore.bundle.v0.3+json", "application/spdx+json"},
		Annotations: map[string]string{"stage": "released"},
	}, Platforms: plan.Platforms{
		Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}, Form: plan.Sparse, Lacks: plan.Optional,
	}, Registries: []Registry{
		{
			Name: "prod", Host: "prod.example.com:5000", Kind: Harbor, Create: CreatePrivate,
			CAFile: filepath.Join(dir, "certs", "prod-ca.pem"), ClientCert: filepath.Join(home, "certs", "me.pem"), ClientKey: filepath.Join(home, "certs", "me.key"),
			TokenHosts: []string{"auth.example.com"}, Mirrors: []string{"mirror.example:5000", "127.0.0.1:5001"},
			Limits:      Limits{8, 20, 50 << 20, 4 << 20, 2 * time.Minute},
			Credentials: Credentials{Username: "robot$import", PasswordEnv: "PROD_PASSWORD", Where: path + ":23"},
		},
		{Name: "lab", Host: "lab.example.com", Insecure: true, Credentials: Credentials{Username: "me", PasswordFile: filepath.Join(dir, "secrets", "lab-password"), Where: path + ":30"}},
		{Name: "cloud", Host: "myteam.azurecr.io", Kind: ACR, Credentials: Credentials{TokenEnv: "ACR_TOKEN", Where: path + ":37"}, Azure: azure.Registry{Via: "auto",
			ResourceID: "/subscriptions/0f8fad5b-d9cb-469f-a165-70867728950e/resourceGroups/images/providers/Microsoft.ContainerRegistry/registries/myteam", ResourceManager: "https://management.azure.com"}},
		{Name: "cloud-partner", Host: "partner.azurecr.io", Azure: azure.Registry{Source: azure.Identity{Tenant: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
			Client: "16fd2706-8baf-433b-82eb-8c7fada847da", SecretEnv: "PARTNER_SECRET", Where: path + ":47"}}},
		{Name: "cloud-test", Host: "myteamtest.azurecr.io", Kind: ACR, Credentials: Credentials{TokenFile: filepath.Join(dir, "secrets", "acr-token"), Where: path + ":55"}},
		{Name: "hub", Host: "docker.io", Kind: DockerHub, Credentials: Credentials{Helper: "secretservice", Where: path + ":61"}},
		{Name: "local", Host: "localhost:5000", Aliases: []string{"test", "myteamlocal.azurecr.io"}, PlainHTTP: true},
	}, Gates: []gates.Gate{
		{Name: "release", Signature: gates.Signature{Keys: []string{filepath.Join(dir, "keys", "cosign.pub")}},
			MinAge: 7 * 24 * time.Hour, MaxSize: 5 << 30, Platforms: []string{"linux/amd64", "linux/arm64"},
			Allow: allow, Deny: deny, Referrers: []string{"application/spdx+json"}},
		{Name: "ci", Signature: gates.Signature{Keyless: &gates.Keyless{IdentityRegexp: `^(?:https://github\.com/acme/.*)$`,
			Issuer: "https://token.actions.githubusercontent.com", Roots: filepath.Join(dir, "keys", "trusted_root.json")}}},
		{Name: "notary", Signature: gates.Signature{Notation: &gates.Notation{
			Store: filepath.Join(home, ".config", "notation"), Policy: filepath.Join(home, ".config", "notation", "trustpolicy.json")}}},
	}, Gate: "release", Client: Client{
		Server: "https://dray.example.com", TokenEnv: "DRAY_CI_TOKEN", CAFile: filepath.Join(dir, "certs", "dray-ca.pem"),
		ClientCert: filepath.Join(home, "certs", "me.pem"), ClientKey: filepath.Join(home, "certs", "me.key"),
	}, Server: Server{
		Listen: "0.0.0.0:5443", PublicURL: "https://dray.example.com", Domain: "dray.example.com", Data: "/var/lib/dray", DatabaseEnv: "DRAY_DATABASE",
		Engine: "temporal://temporal.example:7233/dray", Pools: pool.Pools{"zone-b": {"reg.zone-b.example:5000", "*.b.example"}},
		TLS:  TLS{Cert: filepath.Join(dir, "certs", "server.pem"), Key: filepath.Join(dir, "certs", "server.key"), ClientCA: filepath.Join(dir, "certs", "clients-ca.pem")},
		Auth: Auth{Htpasswd: filepath.Join(dir, "users.htpasswd"), Roles: map[string]string{"alice": "admin", "ci@example.com": "submitter"}},
		Policy: []Rule{
			{Principals: []string{"ci@example.com", "team-*"}, Verbs: []string{"import", "copy"}, Sources: []string{"docker.io/library/**", "lab.example.com/team/**"},
				Targets: []string{"prod.example.com:5000/team/**"}, Rights: []string{"create", "mount"}, Where: path + ":114"},
			{Principals: []string{"*"}, Verbs: []string{"*"}, Sources: []string{"prod.example.com:5000/**"}, Where: path + ":119"},
		},
		Egress:  Egress{Allow: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}},
		Secrets: Secrets{KeyFile: "/var/lib/dray/secrets.key"},
		Storage: storing.Storage{Driver: "s3", Redirect: true, Parameters: map[string]string{"region": "eu-central-1", "bucket": "images"}, ParametersEnv: map[string]string{"accesskey": "S3_KEY"}, ParametersFile: map[string]string{"secretkey": "/run/secrets/s3"}},

		Schedules:    filepath.Join(dir, "mirror.yaml"),
		AuditHeads:   "/mnt/auditors/heads.jsonl",
		PerPrincipal: PerPrincipal{QueuedJobs: 20000, Schedules: 50, Streams: 200, HeldAnswers: 100, Uploads: 50, UploadBytes: 20 << 30},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if r, ok := got.ByName("hub"); !ok || r.Host != "docker.io" {
		t.Error(r, ok)
	}
	if r, ok := got.ByName("test"); !ok || r.Name != "local" {
		t.Error(r, ok)
	}
	if _, ok := got.ByName("docker.io"); ok {
		t.Error("a host was found as a name")
	}
}

func TestTheFirstWrongThingIsSaidWithItsLine(t *testing.T) {
	const reg = "registries:\n  prod:\n    host: a.example\n    "
	for _, tt := range []struct{ content, want, hint string }{
		{reg + "plain_http: true", `4: invalid: unknown key "plain_http" (did you mean "plain-http"?)`, "known keys: host, aliases, kind"},
		{"registry:\n", `1: invalid: unknown key "registry" (did you mean "registries"?)`, "known keys: default-registry, registries"},
		{reg + "frobnicate: true", `4: invalid: unknown key "frobnicate"`, "known keys"},
		{reg + "limits: {conections: 3}", `4: invalid: unknown key "conections" (did you mean "connections"?)`, "known keys"},
		{reg + "host: b.example", `4: invalid: key "host" appears twice (first in line 3)`, "remove one"},
		{reg + "kind: acr\n  prod: {host: b.example}", `5: invalid: key "prod" appears twice (first in line 2)`, ""},
		{reg + "kind: Habor", `4: invalid: unknown kind "Habor" (did you mean "harbor"?)`, "one of acr, "},
		{reg + "plain-http: yes", `4: invalid: plain-http must be true or false, found text`, ""},
		{reg + "insecure: 1", `4: invalid: insecure must be true or false, found a number`, ""},
		{reg + "ca-file:", `4: invalid: ca-file has no value`, "set a value"},
		{reg + `ca-file: ""`, `4: invalid: ca-file has no value`, "set a value"},
		{reg + "ca-file: [a]", `4: invalid: ca-file must be text, found a list`, ""},
		{reg + "ca-file: 12", `4: invalid: ca-file must be text, found a number`, "put it in quotes"},
		{reg + "ca-file: ~bob/x", `4: invalid: no such directory: "~bob/x"`, "only ~/"},
		{reg + "ca-file: ~/x", `4: invalid: the home directory is not known: "~/x"`, "absolute path"},
		{reg + "ca-file: \"a\\0b\"", `4: invalid: not a path: "a\x00b"`, ""},
		{reg + "client-cert: x", `4: invalid: client-cert without client-key`, "both"},
		{reg + "client-key: x", `4: invalid: client-key without client-cert`, "both"},
		{reg + "plain-http: true\n    ca-file: x", `5: invalid: ca-file has no effect with plain-http`, ""},
		{reg + "plain-http: true\n    insecure: true", `5: invalid: insecure has no effect with plain-http`, ""},
		{reg + "insecure: true\n    ca-file: x", `4: invalid: ca-file has no effect with insecure`, ""},
		{reg + "token-hosts: auth.example", `4: invalid: token-hosts must be a list, found text`, ""},
		{reg + "token-hosts:\n      - auth.example\n      - https://auth.example", `6: invalid: not a host: "https://auth.example"`, "without http://"},
		{reg + "mirrors: ['https://u:" + canary + "@mirror.example']", `4: invalid: not a host`, "credentials:"},
		{reg + "mirrors: ['https://mirror.example/UP']", `4: invalid: not a host: "https://mirror.example/UP"`, ""},
		{reg + "mirrors: [null]", `4: invalid: an item has no value`, ""},
		{reg + "kind: acr\n    create: private", `5: invalid: create works only with kind: harbor and kind: ecr`, "by themselves"},
		{reg + "create: private", `4: invalid: create works only with kind: harbor and kind: ecr`, ""},
		{reg + "kind: ecr\n    create: public", `5: invalid: dray cannot create a public ECR repository`, "private"},
		{reg + "kind: harbor\n    create: privat", `5: invalid: unknown create "privat" (did you mean "private"?)`, "one of private, public"},
		{reg + "kind: harbor\n    create: true", `5: invalid: create must be text, found true or false`, ""},
		{reg + "limits: {connections: -1}", `4: invalid: connections must be a whole number from 0 to 1000000000, found -1`, ""},
		{reg + "limits: {connections: many}", `4: invalid: connections must be a whole number from 0 to 1000000000, found text`, ""},
		{reg + "limits: {requests-per-second: .inf}", `4: invalid: requests-per-second must be a number from 0 to 1000000000, found .inf`, ""},
		{reg + "limits: {bytes-per-second: 50M}", `4: invalid: bytes-per-second must be a size such as 4MiB, found text`, ""},
		{reg + "limits: {chunk-size: 4mib}", `4: invalid: chunk-size must be a size such as 4MiB, found text`, ""},
		{reg + "limits: {chunk-size: 1.5}", `4: invalid: chunk-size must be a size such as 4MiB, found a number`, ""},
		{reg + "limits: {chunk-size: 9223372036854775807KB}", `4: invalid: too large: "9223372036854775807KB"`, ""},
		{reg + "limits: {first-byte-timeout: 2}", `4: invalid: first-byte-timeout must be text, found a number`, "quotes"},
		{reg + "limits: {first-byte-timeout: 25h}", `4: invalid: not a duration between 0 and a day: "25h"`, "write 30s"},
		{reg + "limits: {chunk-size: -5}", `4: invalid: chunk-size must be a size such as 4MiB, found a number`, ""},
		{reg + "limits: []", `4: invalid: limits must be a mapping, found a list`, ""},
		{reg + "kind: acr\n  live: {host: A.example}", `5: invalid: a.example already has the name "prod" (line 2)`, "one name"},
		{reg + "kind: acr\n    aliases: [old, old]", `2: invalid: "prod" has the alias "old", which means "prod" already`, "remove one"},
		{reg + "aliases: [prod]", `2: invalid: "prod" has the alias "prod", which means "prod" already`, ""},
		{reg + "aliases: [A.example]", `2: invalid: "prod" has the alias "a.example", which means "prod" already`, ""},
		{reg + "aliases: [b.example]\n  live: {host: b.example}", `2: invalid: "prod" has the alias "b.example", which means "live" already`, ""},
		{reg + "aliases: [live]\n  live: {host: b.example}", `2: invalid: "prod" has the alias "live", which means "live" already`, ""},
		{reg + "aliases: [old]\n  live: {host: b.example, aliases: [old]}", `5: invalid: "live" has the alias "old", which means "prod" already`, ""},
		{reg + "aliases: old", `4: invalid: aliases must be a list, found text`, ""},
		{reg + "aliases: [Old]", `4: invalid: not a name of a registry and not a host: "Old"`, "HOST:PORT"},
		{reg + "aliases: [a/b]", `4: invalid: not a name of a registry and not a host: "a/b"`, ""},
		{reg + "aliases: ['a.b/c']", `4: invalid: not a host: "a.b/c"`, ""},
		{"registries: {prod: {host: registry}}", `1: invalid: "registry" has no dot and no port, so names cannot begin with it`, "such as registry:443"},
		{"registries: {prod: {kind: acr}}", `1: invalid: "prod" has no host`, "add host"},
		{"registries: {prod: a.example}", `1: invalid: prod must be a mapping, found text`, ""},
		{"registries: {prod: {host: 'https://a.example'}}", `1: invalid: not a host: "https://a.example"`, "without http://"},
		{"registries: {prod: {host: 'a.example:99999'}}", `1: invalid: not a host: "a.example:99999"`, ""},
		{"registries: {prod.eu: {host: a.example}}", `1: invalid: not a valid name of a registry: "prod.eu"`, "look like a host"},
		{"registries: {localhost: {host: a.example}}", `1: invalid: not a valid name of a registry: "localhost"`, ""},
		{"registries: {'a:1': {host: a.example}}", `1: invalid: not a valid name of a registry: "a:1"`, ""},
		{"registries: {Prod: {host: a.example}}", `1: invalid: not a valid name of a registry: "Prod"`, ""},
		{"registries: {7: {host: a.example}}", `1: invalid: the key is not text`, "quotes"},
		{"server: {listen: localhost}", `1: invalid: not an address to listen on: "localhost"`, "HOST:PORT"},
		{"server: {database: 'postgres://u:canary-7f3a91@h/d'}", `1: invalid: a password does not belong in this file`, "database-env"},
		{"server: {engine: 'temporal://u:canary-7f3a91@h/d'}", `1: invalid: a login does not belong in this file`, "TEMPORAL_API_KEY"},
		{"server: {engine: 'temporal://h/d?api-key=canary-7f3a91'}", `1: invalid: a login does not belong in this file`, "api-key-file"},
		{"server: {engine: 'canary-7f3a91'}", `1: invalid: not the address of an engine`, "temporal://"},
		{"server:\n  pools:\n    own-x: [a.example]", `3: invalid: read pool "own-x": names that begin with own- belong to the registries of servers`, "another"},
		{"server:\n  pools:\n    a: [a.example]\n    b: [A.example]", `4: invalid: a.example is in pool a already`, "one pool"},
		{"server: {pools: {a: []}}", `1: invalid: a pool without registries has no effect`, "remove it"},
		{"server: {pools: {a: [team]}}", `1: invalid: read pool "team": not a host`, "*.DOMAIN"},
		{"server: {database: 'canary-7f3a91'}", `1: invalid: not the address of a database`, "postgres://"},
		{"server: {auth: {roles: {a: Admin}}}", `1: invalid: unknown role "Admin" (did you mean "admin"?)`, "one of reader"},
		{"server: {policy: [{principals: [a], verbs: [pull, pusch]}]}", `1: invalid: unknown verb "pusch" (did you mean "push"?)`, "use one of import, copy,"},
		{"server:\n  policy:\n    - principals: [a]\n      verbs: ['x*']", `4: invalid: unknown verb "x*"`, "use one of"},
		{"server: {policy: [{principals: [a], verbs: ['[']}]}", `1: invalid: unknown verb "["`, "use one of"},
		{"server: {policy: [{principals: [a], verbs: [push], targets: [prd/x]}]}\n" + reg, `1: invalid: "prd/x" matches nothing: no registry has the name "prd" (did you mean "prod"?)`, "NAME/PATTERN"},
		{"server: {policy: [{principals: [a], verbs: [push], targets: [team]}]}\n" + reg, `1: invalid: "team" matches nothing: no registry has the name "team"`, "HOST/PATTERN"},
		{"server:\n  policy:\n    - {principals: [a]}", `3: invalid: a rule requires principals and verbs`, ""},
		{"server: {egress: {allow: [10.0.0.1/8]}}", `1: invalid: not a network: "10.0.0.1/8"`, "10.0.0.0/8"},
		{"server: {secrets: {key-env: canary-7f3a91}}", `1: invalid: not the name of an environment variable`, ""},
		{"server: {storage: {driver: s3, parameters: {secretkey: canary-7f3a91}}}", `1: invalid: a secret does not belong in this file`, "parameters-env"},
		{"server:\n  storage:\n    parameters:\n      buckett: x\n    driver: s3", `4: invalid: unknown key "buckett" (did you mean "bucket"?)`, "known keys: accelerate"},
		{"server:\n  storage:\n    driver: azure\n    parameters:\n      credentials: {type: sharedkey}", `5: invalid: unknown value "sharedkey" (did you mean "shared_key"?)`, "use one of shared_key"},
		{"server:\n  storage:\n    driver: azure\n    parameters:\n      credentials: {secret: canary-7f3a91}", `5: invalid: a secret does not belong in this file`, "parameters-file"},
		{"server: {storage: {driver: azure, parameters: {credentials: shared_key}}}", `1: invalid: credentials must be a mapping, found text`, ""},
		{"server: {storage: {driver: s3, parameters: {bucket: b}}}", `1: invalid: storage requires the parameter region for the driver s3`, "below parameters"},
		{"server: {storage: {driver: azure, parameters: {accountname: a, container: c, credentials: {type: shared_key}}}}", `1: invalid: storage requires the parameter accountkey for the driver azure`, "parameters-file"},
		{"server: {storage: {driver: s3, parameters: {chunksize: big}}}", `1: invalid: chunksize must be a number, found text`, ""},
		{"server: {storage: {driver: s3, parameters: {bucket: b}, parameters-env: {bucket: B}}}", `1: invalid: the parameter bucket is set twice`, "keep one"},
		{"server: {storage: {driver: filesystem, parameters: {rootdirectory: /x}}}", `1: invalid: the driver filesystem has no parameters`, "remove"},
		{"server: {storage: {driver: s3, free: 1GiB}}", `1: invalid: free requires the driver filesystem`, "an object store"},
		{"server: {storage: {free: some}}", `1: invalid: free must be a size such as 4MiB, found text`, ""},
		{"server: {storage: {driver: filesystem, redirect: false}}", `1: invalid: redirect requires an object store`, "remove"},
		{"registries: {a: }", `1: invalid: a has no value`, ""},
		{"registries:", `1: invalid: registries has no value`, ""},
		{"default-registry: prd\n" + reg, `1: invalid: no registry has the name "prd" (did you mean "prod"?)`, "registries:"},
		{"default-registry: x", `1: invalid: no registry has the name "x"`, ""},
		{"registries:\n\ta: b", `2: invalid: not YAML: found character that cannot start any token`, "indent with blanks"},
		{"- a", `1: invalid: the file must be a mapping, found a list`, ""},
		{"a: &x 1\nb: *x", `1: invalid: unknown key "a"`, ""},
		{"registries:\n  a: &x {host: a.example}\n  b: *x", `3: invalid: anchors and aliases are not supported`, ""},
		{reg + "<<: {kind: acr}", `4: invalid: the key is not text`, ""},
		{"registries: {}\n---\nregistries: {}", `2: invalid: the file has a second YAML document`, ""},
		{"registries:\n\tprod: 1", `2: invalid: not YAML: found character that cannot start any token`, ""},
	} {
		path := write(t, t.TempDir(), tt.content)
		c, err := Loader{}.Load(path)
		if err == nil {
			t.Errorf("%s\nbecame %+v", tt.content, c)
			continue
		}
		if got := strings.TrimPrefix(err.Error(), path+":"); got != tt.want || !strings.Contains(fault.HintOf(err), tt.hint) {
			t.Errorf("%s\ngot  %s (%s)\nwant %s (%s)", tt.content, got, fault.HintOf(err), tt.want, tt.hint)
		}
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error()+fault.HintOf(err), canary) || !reflect.DeepEqual(c, Config{}) {
			t.Errorf("%s\n%v %+v", tt.content, err, c)
		}
	}
}

func TestTheCertificatesOfAResourceManagerGoWithARegistryThatNeedsNone(t *testing.T) {
	for _, key := range []string{"plain-http", "insecure"} {
		c, err := Loader{}.Load(write(t, t.TempDir(), "registries: {a: {host: a.example, "+key+
			": true, ca-file: /ca.pem, azure: {resource-manager: 'https://dray.example'}}}"))
		if err != nil || c.Registries[0].CAFile != "/ca.pem" {
			t.Errorf("%s: %+v %v", key, c.Registries, err)
		}
	}
}

func TestSizesAreExact(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "17": 17, "17B": 17, "1KB": 1000, "1KiB": 1024, "3MB": 3e6, "3 MiB": 3 << 20, "2GB": 2e9, "2GiB": 2 << 30} {
		c, err := Loader{}.Load(write(t, t.TempDir(), "registries: {a: {host: a.example, limits: {chunk-size: "+s+"}}}"))
		if err != nil || c.Registries[0].Limits.ChunkSize != want {
			t.Errorf("%s: %+v %v", s, c, err)
		}
	}
}

func TestAMissingDefaultFileIsNoConfigurationAndAMissingNamedOneAnError(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{}
	l := Loader{Home: home, Env: func(k string) string { return env[k] }}
	if c, err := l.LoadDefault(); !reflect.DeepEqual(c, Config{}) || err != nil {
		t.Error(c, err)
	}
	if c, err := (Loader{}).LoadDefault(); !reflect.DeepEqual(c, Config{}) || err != nil {
		t.Error(c, err)
	}
	gone := filepath.Join(home, "gone.yaml")
	if _, err := l.Load(gone); !fault.Is(err, fault.Invalid) || err.Error() != "read configuration "+gone+": invalid: no such file or directory" {
		t.Error(err)
	}
	for dir, set := range map[string]func(){
		filepath.Join(home, ".config", "dray"): func() { env["XDG_CONFIG_HOME"] = "relative/is/ignored" },
		filepath.Join(home, "xdg", "dray"):     func() { env["XDG_CONFIG_HOME"] = filepath.Join(home, "xdg") },
	} {
		set()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := write(t, dir, "registries: {a: {host: a.example, ca-file: ca.pem}}")
		c, err := l.LoadDefault()
		if err != nil || c.Path != path || c.Registries[0].CAFile != filepath.Join(dir, "ca.pem") {
			t.Error(c, err)
		}
		write(t, dir, "x: 1")
		if _, err := l.LoadDefault(); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "{}"} {
		path := write(t, home, empty)
		if c, err := l.Load(path); !reflect.DeepEqual(c, Config{Path: path}) || err != nil {
			t.Errorf("%q: %+v %v", empty, c, err)
		}
	}
	if _, err := l.Load(write(t, home, "#"+strings.Repeat("x", maxFile))); !fault.Is(err, fault.Invalid) {
		t.Error("an endless file was read:", err)
	}
}

func TestCredentialsHaveExactlyOneWayAndNoLiteral(t *testing.T) {
	for in, want := range map[string]string{
		"{password: " + canary + "}":              "a password does not belong in this file",
		"{username: u, password: " + canary + "}": "a password does not belong in this file",
		"{token: " + canary + "}":                 "a token does not belong in this file",
		"{username: u}":                           "credentials do not say where the login comes from",
		"{}":                                      "credentials do not say where the login comes from",
		"{password-env: P}":                       "password-env without username",
		"{username: u, password-env: P, password-file: p}": "password-env and password-file cannot be combined",
		"{username: u, password-env: P, helper: h}":        "password-env and helper cannot be combined",
		"{token-file: p, token-env: P}":                    "token-file and token-env cannot be combined",
		"{username: u, helper: h}":                         "username cannot be combined with helper",
		"{username: u, token-env: P}":                      "username cannot be combined with token-env",
		"{username: u, password-env: '" + canary + "'}":    "not the name of an environment variable",
		"{username: u, password-env: $P}":                  "not the name of an environment variable",
		"{username: 'u:v', password-env: P}":               "a user name must not contain a colon or a line break",
		"{helper: ../evil}":                                `not the name of a credential helper: "../evil"`,
		"{helper: 7}":                                      "helper must be text, found a number",
		"{usrname: u}":                                     `unknown key "usrname" (did you mean "username"?)`,
	} {
		path := write(t, t.TempDir(), "registries:\n  a:\n    host: a.example\n    credentials: "+in)
		_, err := Loader{}.Load(path)
		if err == nil || err.Error() != path+":4: invalid: "+want || strings.Contains(fault.HintOf(err), canary) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestSecretsAreReadWhenALoginIsAskedForAndNotBefore(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, `registries:
  a: {host: a.example, credentials: {username: u, password-env: P}}
  b: {host: b.example, credentials: {username: u, password-file: secret}}
  c: {host: c.example, credentials: {token-env: P}}
  d: {host: d.example, credentials: {helper: surely-not-there}}
  e: {host: e.example}
`)
	c, err := Loader{}.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	chain := c.Lookups(func(k string) string { return env[k] })
	ask := func(host string) (credential.Login, error) {
		return chain.For(t.Context(), ref.Repo{Host: host, Path: "x"})
	}
	for host, want := range map[string]string{
		"a.example": ":2: read env P: invalid: not set",
		"b.example": ":3: read password or token " + filepath.Join(dir, "secret") + ": invalid: no such file or directory",
		"c.example": ":4: read env P: invalid: not set",
		"d.example": ":5: ask credential helper docker-credential-surely-not-there to get: denied: not on PATH",
	} {
		if _, err := ask(host); err == nil || err.Error() != "find a login for "+host+": use credentials of "+path+want {
			t.Error(err)
		}
	}
	env["P"] = canary
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := ask("a.example"); l != (credential.Login{User: "u", Password: credential.New(canary), From: "config " + path + ":2"}) || err != nil {
		t.Error(l, err)
	}
	if l, err := ask("b.example"); l.Password.Reveal() != "from file" || err != nil {
		t.Error(l, err)
	}
	if _, err := ask("c.example"); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), canary) {
		t.Error(err)
	}
	for _, host := range []string{"e.example", "f.example"} {
		if l, err := ask(host); l != (credential.Login{}) || err != nil {
			t.Error(host, l, err)
		}
	}
	none := Credentials{}.Lookup("a.example", os.Getenv)
	if _, ok, err := none(t.Context(), ref.Repo{Host: "a.example"}); ok || err != nil {
		t.Error(ok, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), make([]byte, 64<<10+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask("b.example"); !fault.Is(err, fault.Invalid) {
		t.Error("an endless password was read:", err)
	}
}

// PowerShell and Windows editors write a byte order mark; Google's key files have many lines.
func TestAMarkIsPassedOverAndAPasswordKeepsItsLines(t *testing.T) {
	key := "{\n \"private_key\": \"a\\n\"\n}"
	dir := t.TempDir()
	path := write(t, dir, "\ufeff"+`registries:
  a: {host: a.example, credentials: {username: _json_key, password-env: P}}
  b: {host: b.example, credentials: {username: _json_key, password-file: secret}}
`)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("\ufeff"+key+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Loader{}.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	chain := c.Lookups(func(string) string { return key + "\n" })
	for _, host := range []string{"a.example", "b.example"} {
		l, err := chain.For(t.Context(), ref.Repo{Host: host, Path: "x"})
		if l.Password.Reveal() != key || err != nil {
			t.Errorf("%s: %q %v", host, l.Password.Reveal(), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	example, err := os.ReadFile(filepath.Join("testdata", "example.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("registries: &a {b: *a}"))
	f.Add([]byte("? [a]\n: b"))
	f.Add([]byte("registries: {a: {host: a.example, limits: {chunk-size: 4MiB}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Loader{Home: "/home/me"}.parse("config.yaml", data, nil)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "config.yaml") {
				t.Fatal(err)
			}
			return
		}
		for _, r := range c.Registries {
			if host, err := ref.Host(r.Host); err != nil || host != r.Host || ref.LooksLikeHost(r.Name) {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestAMistakeInAGateIsNamedWithItsLine(t *testing.T) {
	for file, want := range map[string]string{
		"gates:\n  a:\n    min-age: 7d\ngate: b\n":          `:4: invalid: no gate has the name "b"`,
		"gates:\n  a: {}\n":                                 `:2: invalid: "a" admits every image`,
		"gates:\n  A:\n    min-age: 7d\n":                   `:2: invalid: not a valid name of a gate: "A"`,
		"gates:\n  a:\n    min-age: soon\n":                 `:3: invalid: not an age: "soon"`,
		"gates:\n  a:\n    platforms: linux\n":              `:3: invalid: not a platform: "linux"`,
		"gates:\n  a:\n    allow: 're:('\n":                 `:3: invalid: read pattern "re:(": `,
		"gates:\n  a:\n    allow: '[x'\n":                   `:3: invalid: read pattern "[x": a [ has no ]`,
		"gates:\n  a:\n    signature: {}\n":                 `:3: invalid: a signature is one of key, keyless and notation`,
		"gates: {a: {signature: {keyless: {identity: x}}}}": `:1: invalid: keyless requires either issuer or issuer-regexp`,
		"gates: {a: {signature: {keyless: {identity: i, identity-regexp: i, issuer: x, roots: y}}}}": `:1: invalid: keyless has both identity and identity-regexp`,
		"gates: {a: {signature: {keyless: {identity: i, issuer: x, issuer-regexp: x, roots: y}}}}":   `:1: invalid: keyless has both issuer and issuer-regexp`,
		"gates: {a: {signature: {keyless: {issuer: x, roots: y}}}}":                                  `:1: invalid: keyless requires either identity or identity-regexp`,
		"gates: {a: {signature: {keyless: {identity: x, issuer: y}}}}":                               `:1: invalid: keyless has no roots`,
		"gates: {a: {signature: {keyless: {identity-regexp: '('}}}}":                                 `:1: invalid: not a regular expression: "("`,
		"gates: {a: {signature: {notation: {policy: x}}}}":                                           `:1: invalid: notation has no store`,
		"gates: {a: {signature: {notation: {store: x}}}}":                                            `:1: invalid: notation has no policy`,
		"gates: {a: {max-size: big}}":                                                                `:1: invalid: max-size`,
	} {
		path := write(t, t.TempDir(), file)
		_, err := Loader{}.Load(path)
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), path+want) {
			t.Errorf("%q: %v", file, err)
		}
	}
}
