package config

import (
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/ref"
)

// Client names the server that runs verbs as jobs, and how the command line logs in there. The zero
// Client names no server: verbs run in the process of the command.
type Client struct {
	Server                string // "https://HOST[:PORT]", without a path
	TokenEnv, TokenFile   string // the name of a variable, or an absolute path; at most one is set
	CAFile                string // a PEM file of authorities that are trusted in addition to the system's
	ClientCert, ClientKey string // the PEM files of a client certificate; both are set or neither
}

// client reads the key client.
func (p parser) client(n *yaml.Node, c *Client) error {
	err := p.mapping(n, "client", []field{
		{"server", func(n *yaml.Node) error { return p.serverURL(n, &c.Server) }},
		{"token", func(n *yaml.Node) error {
			return p.bad(n, "a token does not belong in this file", "name a variable with token-env, or a file with token-file")
		}},
		{"token-env", func(n *yaml.Node) error { return p.variable(n, &c.TokenEnv) }},
		{"token-file", func(n *yaml.Node) error { return p.filePath(n, &c.TokenFile) }},
		{"ca-file", func(n *yaml.Node) error { return p.filePath(n, &c.CAFile) }},
		{"client-cert", func(n *yaml.Node) error { return p.filePath(n, &c.ClientCert) }},
		{"client-key", func(n *yaml.Node) error { return p.filePath(n, &c.ClientKey) }},
	})
	switch {
	case err != nil:
		return err
	case c.Server == "" && (c.CAFile == "" || c.TokenEnv+c.TokenFile+c.ClientCert != ""): // they are for one server
		return p.bad(n, "client has no server", "add server: https://HOST")
	case c.TokenEnv != "" && c.TokenFile != "":
		return p.bad(n, "token-env and token-file cannot be combined", "keep one of them")
	case (c.ClientCert == "") != (c.ClientKey == ""):
		return p.bad(n, "client-cert and client-key must both be set", "set both")
	}
	return nil
}

// serverURL reads the URL of a server, without a path.
func (p parser) serverURL(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	u, err := url.Parse(*out)
	if err == nil {
		_, err = ref.Host(u.Host)
	}
	onlyHost := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil &&
		strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
	if !onlyHost {
		return p.bad(n, "not the address of a server", "write https://HOST or https://HOST:PORT")
	}
	*out = u.Scheme + "://" + u.Host
	return nil
}
