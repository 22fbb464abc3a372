package azure

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Registry is the key azure of a registry. The zero Registry means that the file does not have it.
type Registry struct {
	// Via says who brings images to the registry; "" means dray.
	Via string
	// ResourceID is the ID of the registry in Azure; "" lets dray look for it.
	ResourceID string
	// ResourceManager is the URL of the resource manager; "" means that of the cloud of the host.
	ResourceManager string
	// Source is the identity that reads the registry; the zero Identity means that of the machine.
	Source Identity
}

// Identity is an identity in Azure. One with a Client alone is a managed identity of the machine.
type Identity struct {
	Tenant      string
	Client      string
	SecretEnv   string // the name of the variable with the secret of a service principal
	Certificate string // the absolute path of its certificate and key instead
	TokenFile   string // the absolute path of the token of a workload identity instead
	Where       string // the place in the file for messages, such as "config.yaml:12"
}

// Vias are the values of the key via.
func Vias() []string {
	return []string{string(credential.ViaDray), string(credential.ViaAzure), string(credential.ViaAuto)}
}

// Field is one key of a mapping and the function that reads its value.
type Field struct {
	Key  string
	Read func(*yaml.Node) error
}

// Tools reads the values of YAML. Package config has them.
type Tools struct {
	Mapping  func(n *yaml.Node, what string, fields []Field) error
	OneOf    func(n *yaml.Node, known []string, what string, out *string) error
	Text     func(n *yaml.Node, out *string) error
	Path     func(n *yaml.Node, out *string) error
	Variable func(n *yaml.Node, out *string) error
	Bad      func(n *yaml.Node, cause, hint string) error // an error with the line of n
	At       func(n *yaml.Node) string                    // the place of n for messages
}

// Read reads the key azure of a registry.
func Read(n *yaml.Node, r *Registry, t Tools) error {
	return t.Mapping(n, "azure", []Field{
		{"via", func(n *yaml.Node) error { return t.OneOf(n, Vias(), "via", &r.Via) }},
		{"resource-id", func(n *yaml.Node) error { return t.id(n, &r.ResourceID) }},
		{"resource-manager", func(n *yaml.Node) error { return t.manager(n, &r.ResourceManager) }},
		{"source-identity", func(n *yaml.Node) error { return t.identity(n, &r.Source) }},
	})
}

// id reads the resource ID of a registry.
func (t Tools) id(n *yaml.Node, out *string) error {
	if err := t.Text(n, out); err != nil {
		return err
	}
	parts := strings.Split(*out, "/")
	want := []string{"", "subscriptions", "", "resourcegroups", "", "providers", "microsoft.containerregistry",
		"registries", ""}
	good := len(parts) == len(want)
	for i := 0; good && i < len(want); i++ {
		good = want[i] == "" && (parts[i] != "") == (i > 0) || want[i] != "" && strings.EqualFold(parts[i], want[i])
	}
	if !good || strings.ContainsAny(*out, "?#% ") {
		return t.Bad(n, "not the resource ID of a container registry", "write /subscriptions/ID/resourceGroups/GROUP/"+
			"providers/Microsoft.ContainerRegistry/registries/NAME, as az acr show --query id prints it")
	}
	return nil
}

// manager reads the URL of a resource manager. A token is sent there.
func (t Tools) manager(n *yaml.Node, out *string) error {
	if err := t.Text(n, out); err != nil {
		return err
	}
	u, err := url.Parse(*out)
	plain := err == nil && u.Scheme == "http" && ref.IsLoopback(u.Host)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !plain {
		return t.Bad(n, "not the URL of a resource manager: "+strconv.Quote(*out), "write https://HOST")
	}
	return nil
}

func (t Tools) identity(n *yaml.Node, out *Identity) error {
	var proofs []string
	proof := func(key string, read func(*yaml.Node, *string) error, to *string) Field {
		return Field{key, func(n *yaml.Node) error { proofs = append(proofs, key); return read(n, to) }}
	}
	err := t.Mapping(n, "source-identity", []Field{
		{"tenant-id", func(n *yaml.Node) error { return t.Text(n, &out.Tenant) }},
		{"client-id", func(n *yaml.Node) error { return t.Text(n, &out.Client) }},
		proof("client-secret-env", t.Variable, &out.SecretEnv),
		proof("certificate-file", t.Path, &out.Certificate),
		proof("token-file", t.Path, &out.TokenFile),
		{"client-secret", func(n *yaml.Node) error {
			return t.Bad(n, "a client-secret does not belong in this file", "use client-secret-env")
		}},
	})
	switch {
	case err != nil:
		return err
	case out.Client == "":
		return t.Bad(n, "source-identity has no client-id", "add the ID of the service principal or of the managed identity")
	case len(proofs) > 1:
		return t.Bad(n, strings.Join(proofs, " and ")+" cannot be combined", "keep one of them")
	case (len(proofs) == 1) != (out.Tenant != ""):
		return t.Bad(n, "tenant-id belongs to client-secret-env, certificate-file or token-file",
			"give both for a service principal, and none of them for a managed identity")
	}
	out.Where = t.At(n)
	return nil
}

// Lookup returns a lookup that logs in at host as the identity. env returns an environment variable, as os.Getenv
// does, and home is the home directory. A secret that is not set is Invalid; the other errors are those of
// credential.Azure.
func (i Identity) Lookup(host string, env func(string) string, home string) credential.Lookup {
	own := map[string]string{
		"AZURE_TENANT_ID": i.Tenant, "AZURE_CLIENT_ID": i.Client, "AZURE_CLIENT_SECRET": "",
		"AZURE_CLIENT_CERTIFICATE_PATH": i.Certificate, "AZURE_FEDERATED_TOKEN_FILE": i.TokenFile,
	}
	variable := func(name string) string {
		if name == "AZURE_CLIENT_SECRET" && i.SecretEnv != "" {
			return env(i.SecretEnv)
		}
		if value, ours := own[name]; ours {
			return value
		}
		return env(name)
	}
	look := credential.Azure{Cloud: credential.Cloud{Env: variable, Home: home}, Hosts: []string{host}}.Lookup()
	return func(ctx context.Context, repo ref.Repo) (credential.Login, bool, error) {
		if repo.Host != host {
			return credential.Login{}, false, nil
		}
		if i.SecretEnv != "" && env(i.SecretEnv) == "" {
			return credential.Login{}, false, &fault.Fault{Kind: fault.Invalid, Op: "use source-identity of", Name: i.Where,
				Hint: "export " + i.SecretEnv, Err: errors.New("env " + i.SecretEnv + " is not set")}
		}
		l, ok, err := look(ctx, repo)
		if err == nil && ok {
			l.From = "config " + i.Where
		}
		return l, ok, err
	}
}
