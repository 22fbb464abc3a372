package config

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/storing"
	"github.com/drayage/dray/fault"
)

// accepts implements the part of JSON Schema (draft 2020-12) that the schema uses. A keyword that it
// does not know is an error.
func accepts(t *testing.T, root map[string]any, schema, v any) bool {
	t.Helper()
	if b, ok := schema.(bool); ok {
		return b
	}
	s := schema.(map[string]any)
	object, _ := v.(map[string]any)
	array, _ := v.([]any)
	known, _ := s["properties"].(map[string]any)
	ok := true
	also := func(schema, v any) { ok = accepts(t, root, schema, v) && ok }
	for key, arg := range s {
		switch key {
		case "$schema", "$id", "$defs", "title", "description", "then":
		case "$ref":
			also(root["$defs"].(map[string]any)[strings.TrimPrefix(arg.(string), "#/$defs/")], v)
		case "properties", "additionalProperties":
			for name, value := range object {
				sub, named := known[name]
				switch {
				case named && key == "properties":
					also(sub, value)
				case !named && key == "additionalProperties":
					also(arg, value)
				}
			}
		case "propertyNames":
			for name := range object {
				also(arg, name)
			}
		case "items":
			for _, item := range array {
				also(arg, item)
			}
		case "not":
			ok = !accepts(t, root, arg, v) && ok
		case "allOf", "oneOf":
			n := 0
			for _, sub := range arg.([]any) {
				if accepts(t, root, sub, v) {
					n++
				}
			}
			ok = ok && n == map[string]int{"allOf": len(arg.([]any)), "oneOf": 1}[key]
		case "if":
			if accepts(t, root, arg, v) {
				also(s["then"], v)
			}
		default:
			ok = asserts(t, key, arg, v) && ok
		}
	}
	return ok
}

// asserts implements the keywords that do not contain another schema.
func asserts(t *testing.T, key string, arg, v any) bool {
	t.Helper()
	object, _ := v.(map[string]any)
	text, isText := v.(string)
	number, isNumber := v.(float64)
	lacks := func(name any) bool { _, there := object[name.(string)]; return !there }
	switch key {
	case "type":
		return slices.ContainsFunc(listOf(arg), func(name any) bool { return isOf(v, name.(string)) })
	case "required":
		return !slices.ContainsFunc(arg.([]any), lacks)
	case "dependentRequired":
		for name, others := range arg.(map[string]any) {
			if !lacks(name) && slices.ContainsFunc(others.([]any), lacks) {
				return false
			}
		}
		return true
	case "enum":
		return slices.Contains(arg.([]any), v)
	case "const":
		return reflect.DeepEqual(arg, v)
	case "pattern":
		return !isText || regexp.MustCompile(arg.(string)).MatchString(text)
	case "minLength":
		return !isText || float64(len(text)) >= arg.(float64)
	case "maxLength":
		return !isText || float64(len(text)) <= arg.(float64)
	case "minimum":
		return !isNumber || number >= arg.(float64)
	case "maximum":
		return !isNumber || number <= arg.(float64)
	case "minItems":
		array, isArray := v.([]any)
		return !isArray || float64(len(array)) >= arg.(float64)
	case "minProperties":
		return float64(len(object)) >= arg.(float64)
	case "maxProperties":
		return float64(len(object)) <= arg.(float64)
	}
	t.Fatalf("the schema uses %q, which this test does not know", key)
	return false
}

func listOf(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func isOf(v any, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	}
	return false
}

// read returns the schema and a YAML file in the form of JSON, to which the schema applies.
func read(t *testing.T, file string) (schema map[string]any, value any) {
	t.Helper()
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal([]byte(file), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &value)
	}
	if err != nil {
		t.Fatal(err)
	}
	return schema, value
}

func TestTheExampleIsWhatTheSchemaDescribesAndHasEveryKeyOfIt(t *testing.T) {
	example, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schema, value := read(t, string(example))
	if !accepts(t, schema, schema, value) {
		t.Error("the example is refused")
	}
	var keys []string
	for _, part := range []string{"referrers", "platforms", "registry", "limits", "credentials", "client", "server", "tls", "auth", "rule", "egress", "secrets", "storage", "per-principal", "gate", "signature", "keyless", "notation"} {
		keys = append(keys, keysOf(schema, part)...)
	}
	for _, key := range keys {
		if !regexp.MustCompile(`(?m)^[ -]*(?:# )?` + key + `:`).Match(example) {
			t.Errorf("the example does not show %s", key)
		}
	}
}

// keysOf lists the keys that a part of the schema allows.
func keysOf(schema map[string]any, part string) []string {
	if part != "" {
		schema = schema["$defs"].(map[string]any)[part].(map[string]any)
	}
	var keys []string
	for key, sub := range schema["properties"].(map[string]any) {
		if sub != false {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func TestSchemaAndParserKnowTheSameKeys(t *testing.T) {
	schema, _ := read(t, "{}")
	for part, file := range map[string]string{
		"":              "x-y: 1",
		"referrers":     "referrers: {x-y: 1}",
		"platforms":     "platforms: {x-y: 1}",
		"registry":      "registries: {a: {x-y: 1}}",
		"limits":        "registries: {a: {limits: {x-y: 1}}}",
		"credentials":   "registries: {a: {credentials: {x-y: 1}}}",
		"client":        "client: {x-y: 1}",
		"server":        "server: {x-y: 1}",
		"tls":           "server: {tls: {x-y: 1}}",
		"auth":          "server: {auth: {x-y: 1}}",
		"rule":          "server: {policy: [{x-y: 1}]}",
		"egress":        "server: {egress: {x-y: 1}}",
		"secrets":       "server: {secrets: {x-y: 1}}",
		"storage":       "server: {storage: {x-y: 1}}",
		"s3":            "server: {storage: {driver: s3, parameters: {x-y: 1}}}",
		"s3-env":        "server: {storage: {driver: s3, parameters-env: {x-y: 1}}}",
		"azure":         "server: {storage: {driver: azure, parameters: {x-y: 1}}}",
		"azure-file":    "server: {storage: {driver: azure, parameters-file: {x-y: 1}}}",
		"gcs":           "server: {storage: {driver: gcs, parameters: {x-y: 1}}}",
		"per-principal": "server: {per-principal: {x-y: 1}}",
		"gate":          "gates: {a: {x-y: 1}}",
		"signature":     "gates: {a: {signature: {x-y: 1}}}",
		"keyless":       "gates: {a: {signature: {keyless: {x-y: 1}}}}",
		"notation":      "gates: {a: {signature: {notation: {x-y: 1}}}}",
	} {
		_, err := Loader{}.Load(write(t, t.TempDir(), file))
		known, found := strings.CutPrefix(fault.HintOf(err), "known keys: ")
		if !found {
			t.Fatalf("%s: %v (%s)", file, err, fault.HintOf(err))
		}
		// The parser knows the keys password and token, and secrets in parameters, only to refuse them.
		keys := slices.DeleteFunc(strings.Split(known, ", "), func(key string) bool {
			return key == "password" || key == "token" || storing.Of(part, key).Secret
		})
		slices.Sort(keys)
		if want := keysOf(schema, part); !slices.Equal(keys, want) {
			t.Errorf("%q: the parser knows %v, the schema %v", part, keys, want)
		}
	}
	enum := schema["$defs"].(map[string]any)["registry"].(map[string]any)["properties"].(map[string]any)["kind"].(map[string]any)["enum"]
	if fmt.Sprint(enum) != fmt.Sprint(kinds) {
		t.Errorf("the parser knows %v, the schema %v", kinds, enum)
	}
}

func TestSchemaAndParserAgreeOnWhatIsRight(t *testing.T) {
	const reg = "registries: {a: {host: a.example, "
	for file, right := range map[string]bool{
		"platforms: linux/amd64": true, "platforms: [linux/amd64, linux/arm64]": true, "platforms: {only: all}": true, "platforms: {optional: true}": false, "platforms: 1": false,
		reg + "azure: {via: auto}}}": true, reg + "azure: {via: az}}}": false, reg + "azure: {resource-manager: 'https://dray.example:5443/'}}}": true,
		reg + "azure: {resource-manager: 'http://dray.example'}}}": false, reg + "azure: {resource-manager: 'http://127.0.0.1:5000'}}}": true, reg + "azure: {resource-manager: 'https://u:p@dray.example'}}}": false,
		reg + "azure: {resource-id: /subscriptions/1/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r}}}": true,
		reg + "azure: {resource-id: /subscriptions/1/resourcegroups/g/providers/microsoft.containerregistry/registries/r}}}": true,
		reg + "azure: {resource-id: /subscriptions/1/resourceGroups/g/providers/Microsoft.Storage/registries/r}}}":           false, reg + "azure: {resource-id: r}}}": false,
		reg + "azure: {source-identity: {client-id: c}}}}": true, reg + "azure: {source-identity: {tenant-id: t}}}}": false, reg + "azure: {source-identity: {client-id: c, tenant-id: t}}}}": false,
		reg + "azure: {source-identity: {client-id: c, client-secret-env: V}}}}": false, reg + "azure: {source-identity: {client-id: c, tenant-id: t, client-secret-env: V}}}}": true,
		reg + "azure: {source-identity: {client-id: c, tenant-id: t, client-secret: hunter2}}}}": false, reg + "azure: {source-identity: {client-id: c, tenant-id: t, token-file: a, certificate-file: b}}}}": false,
		"include-foreign: true": true, "include-foreign: 1": false, "include-foreign: 'true'": false,
		"{}": true, "referrers: false": true, "referrers: sync": true, "referrers: never": false, "referrers: {mode: true, types: [a, b]}": true, "referrers: {mode: false, types: [a]}": false,
		"referrers: {}": false, "referrers: [a]": false, "referrers: {annotations: {a: b}}": true, "referrers: {annotations: {'': b}}": false, "registries: {}": true, reg + "kind: acr}}": true, reg + "kind: Acr}}": false, "registries: {a: {}}": false,
		"registries: {A: {host: a.example}}": false, "registries: {localhost: {host: a.example}}": false, "registries: {a.b: {host: a.example}}": false,
		"registries: {a: {host: 'https://a.example'}}": false, "registries: {a: {host: 'a.example:5000'}}": true, "registries: {a: {host: '[::1]:5000'}}": true,
		reg + "plain-http: true, insecure: true}}": false, reg + "plain-http: true, insecure: false}}": true, reg + "plain-http: true, ca-file: x}}": false,
		reg + "insecure: true, ca-file: x}}": false, reg + "insecure: false, ca-file: x}}": true, reg + "plain-http: 1}}": false,
		reg + "client-cert: x}}": false, reg + "client-cert: x, client-key: y}}": true, reg + "ca-file: ''}}": false,
		reg + "mirrors: a.example}}": false, reg + "mirrors: [m.example]}}": true, reg + "mirrors: ['http://m']}}": false,
		reg + "limits: {connections: -1}}}": false, reg + "limits: {connections: 1.5}}}": false, reg + "limits: {requests-per-second: 1.5}}}": true,
		reg + "limits: {chunk-size: 4MiB}}}": true, reg + "limits: {chunk-size: 4M}}}": false, reg + "limits: {chunk-size: 4096}}}": true,
		reg + "limits: {first-byte-timeout: 2m}}}": true, reg + "limits: {first-byte-timeout: 90}}}": false, reg + "limits: {first-byte-timeout: soon}}}": false,
		reg + "credentials: {username: u, password-env: P}}}": true, reg + "credentials: {username: u}}}": false, reg + "credentials: {helper: h}}}": true,
		reg + "credentials: {username: u, helper: h}}}": false, reg + "credentials: {password-env: P}}}": false, reg + "credentials: {token: t}}}": false,
		reg + "credentials: {token-env: T, token-file: t}}}": false, reg + "credentials: {token-file: t}}}": true, reg + "credentials: {}}}": false,
		"x: 1": false, reg + "x: 1}}": false,

		"client: {}": false, "client: {server: 'https://dray.example:8443'}": true, "client: {server: 'https://dray.example/x'}": false, "client: {server: 'https://a:b@dray.example'}": false,
		"client: {server: 'https://a.b', token-env: T}": true, "client: {server: 'https://a.b', token-env: T, token-file: t}": false, "client: {server: 'https://a.b', token: t}": false,
		"client: {server: 'https://a.b', client-cert: c}": false, "client: {server: 'https://a.b', client-cert: c, client-key: k, ca-file: a}": true,
		"server: {}": true, "server: {listen: '127.0.0.1:0'}": true, "server: {listen: ':5000'}": true, "server: {listen: '[::]:5000'}": true, "server: {listen: 5000}": false, "server: {listen: 'a'}": false,
		"server: {public-url: 'https://dray.example:8443'}": true, "server: {public-url: 'https://dray.example/x'}": false, "server: {public-url: 'ftp://dray.example'}": false,
		"server: {registry-domain: 'dray.example:8443'}": true, "server: {registry-domain: 'https://dray.example'}": false, "server: {registry-domain: dray}": true, "server: {registry-domain: 'a/b'}": false,
		"server: {database: 'sqlite:x.db'}": true, "server: {database: 'postgres://u@h/d'}": true, "server: {database: 'postgres://u:p@h/d'}": false, "server: {database: 'mysql://h/d'}": false,
		"server: {database: 'sqlite:x.db', database-env: X}": false, "server: {database-env: X, database-file: x}": false, "server: {database-env: X}": true,
		"server: {engine: 'temporal://h:7233/n'}": true, "server: {engine: 'temporal://h:7233/n?tls=true&api-key-file=k'}": true, "server: {engine: 'temporal://u:p@h/n'}": false, "server: {engine: 'temporal://h/n?api-key=k'}": false, "server: {engine: 'h:7233'}": false,
		"server: {pools: {}}": true, "server: {pools: {zone-b: [a.example, 'b.example:5000', '*.c.example']}}": true, "server: {pools: {zone-b: []}}": false, "server: {pools: {Zone: [a.example]}}": false, "server: {pools: {default: [a.example]}}": false, "server: {pools: {own-a: [a.example]}}": false,
		"server: {pools: {a: ['*.c.example:5000']}}": false, "server: {pools: {a: [reg]}}": false, "server: {pools: {a: a.example}}": false, "server: {pools: {own: ['[::1]:5000', localhost]}}": true,
		"server: {tls: {cert: c}}": false, "server: {tls: {cert: c, key: k}}": true, "server: {tls: {client-ca: c}}": false, "server: {tls: {cert: c, key: k, client-ca: c}}": true,
		"server: {auth: {roles: {alice: admin}}}": true, "server: {auth: {roles: {alice: root}}}": false, "server: {auth: {htpasswd: ''}}": false,
		"server: {policy: []}": true, "server: {policy: [{principals: ['*'], verbs: [import]}]}": true, "server: {policy: [{principals: ['*']}]}": false, "server: {policy: [{principals: [a], verbs: ['p*', pull]}]}": true, "server: {policy: [{principals: [a], verbs: [pulls]}]}": false, "server: {policy: [{principals: [a], verbs: [pull], sources: [dray/team/**]}]}": true, "server: {policy: [{principals: [], verbs: [import]}]}": false,
		"server: {policy: [{principals: [a], verbs: [import], rights: [create, mount]}]}": true, "server: {policy: [{principals: [a], verbs: [import], rights: [all]}]}": false,
		"server: {policy: [{principals: [a], verbs: [import], sources: ['a.example/**']}]}": true, "server: {policy: {principals: [a]}}": false,
		"server: {egress: {allow: [10.0.0.0/8, 'fd00::/8']}}": true, "server: {egress: {allow: [10.0.0.1]}}": false, "server: {egress: {allow: 10.0.0.0/8}}": false,
		"server: {secrets: {key-file: k}}": true, "server: {secrets: {key-file: k, key-env: K}}": false, "server: {secrets: {}}": false, "server: {secrets: {key-command: [pass, show]}}": true, "server: {secrets: {key-command: []}}": false,
		"server: {storage: {driver: s3, parameters: {bucket: b, region: r, secure: true, chunksize: 5}, parameters-env: {secretkey: S}}}": true, "server: {storage: {driver: s3, parameters: {secretkey: b}}}": false,
		"server: {storage: {driver: s3, redirect: true, parameters: {bucket: b, region: r}, parameters-file: {secretkey: /s}}}": true, "server: {storage: {driver: s3, redirect: 1, parameters: {bucket: b, region: r}}}": false, "server: {storage: {driver: s3, parameters: {bucket: b, region: r, secure: 'true'}}}": false,
		"server: {storage: {driver: s3, parameters: {bucket: b, region: r, chunksize: 5.5}}}": false, "server: {storage: {driver: s3, parameters: {bucket: b, region: r, container: c}}}": false, "server: {storage: {driver: s3, parameters: {bucket: 7, region: r}}}": false,
		"server: {storage: {driver: azure, parameters: {accountname: a, container: c, credentials: {type: shared_key}}, parameters-env: {accountkey: K}}}":                                           true,
		"server: {storage: {driver: azure, parameters: {accountname: a, container: c, credentials: {type: client_secret, clientid: i, tenantid: t}}, parameters-file: {credentials: {secret: /s}}}}": true,
		"server: {storage: {driver: azure, parameters: {accountname: a, container: c, credentials: {type: default_credentials}, max_retries: 7}}}":                                                   true, "server: {storage: {driver: azure, parameters: {accountname: a, container: c, credentials: {type: x}}}}": false,
		"server: {storage: {driver: azure, parameters: {credentials: {secret: x}}}}": false, "server: {storage: {driver: azure, parameters: {credentials: x}}}": false, "server: {storage: {driver: azure, parameters-env: {credentials: {secret: 'a b'}}}}": false,
		"server: {storage: {driver: gcs, parameters: {bucket: b, keyfile: k.json}}}": true, "server: {storage: {driver: gcs, parameters: {bucket: b, region: r}}}": false,
		"server: {storage: {free: 2GiB}}": true, "server: {storage: {driver: filesystem, free: 0}}": true, "server: {storage: {free: -1}}": false, "server: {storage: {redirect: true, free: 1}}": false, "server: {storage: {driver: gcs, free: 1, parameters: {bucket: b}}}": false,
		"server: {storage: {driver: filesystem}}": true, "server: {storage: {driver: filesystem, parameters: {rootdirectory: /x}}}": false, "server: {storage: {driver: filesystem, redirect: true}}": false,
		"gates: {}": true, "gates: {a: {}}": false, "gates: {A: {min-age: 7d}}": false, "gates: {a: {min-age: 7d}}": true, "gates: {a: {min-age: soon}}": false, "gates: {a: {min-age: 7}}": false,
		"gates: {a: {max-size: 5GiB, platforms: linux/amd64}}": true, "gates: {a: {platforms: [linux/amd64, linux/arm64/v8]}}": true, "gates: {a: {platforms: [linux]}}": false, "gates: {a: {platforms: Linux/amd64}}": false, "gates: {a: {platforms: []}}": false,
		"gates: {a: {allow: 'docker.io/*', deny: ['*/x', 're:y'], referrers: application/spdx+json}}": true, "gates: {a: {allow: ''}}": false,
		"gates: {a: {signature: {key: k}}}": true, "gates: {a: {signature: {key: [k, l]}}}": true, "gates: {a: {signature: {}}}": false, "gates: {a: {signature: {key: k, notation: {store: s, policy: p}}}}": false,
		"gates: {a: {signature: {notation: {store: s, policy: p}}}}": true, "gates: {a: {signature: {notation: {store: s}}}}": false, "gates: {a: {signature: {notation: {policy: p}}}}": false,
		"gates: {a: {signature: {keyless: {identity: i, issuer: j, roots: r}}}}": true, "gates: {a: {signature: {keyless: {identity: i, issuer: j}}}}": false, "gates: {a: {signature: {keyless: {identity: i, roots: r}}}}": false, "gates: {a: {signature: {keyless: {issuer: i, roots: r}}}}": false,
		"gates: {a: {signature: {keyless: {identity: i, identity-regexp: i, issuer: j, roots: r}}}}": false, "gates: {a: {signature: {keyless: {identity-regexp: '.*', issuer-regexp: j, roots: r}}}}": true,
		"{gates: {a: {min-age: 7d}}, gate: a}": true,
		"server: {storage: {}}":                false, "server: {storage: {driver: tape}}": false, "server: {storage: {driver: gcs, parameters-env: {a: 'b c'}}}": false,
	} {
		_, err := Loader{}.Load(write(t, t.TempDir(), file))
		schema, value := read(t, file)
		if got := accepts(t, schema, schema, value); got != right || err == nil != right {
			t.Errorf("%s: schema %t, parser %v, want %t", file, got, err, right)
		}
	}
}
