package temporal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/drayage/dray/fault"
)

const defaultPort = "7233"

// address is a URL of an engine that was read: where Temporal is, and how to log in to it.
type address struct {
	host, namespace string
	name            string // the URL without its parameters, for messages
	tls             *tls.Config
	login           client.Credentials // nil means none
}

// parse reads temporal://HOST[:PORT]/NAMESPACE[?PARAMETERS]. apiKey is a key from the environment; "" means
// none. The error is Invalid, and never contains what the URL has as a password or as an unknown parameter.
func parse(text, apiKey string) (address, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "temporal" || u.Hostname() == "" {
		return address{}, invalid("", "not the URL of an engine", "write temporal://HOST:7233/NAMESPACE")
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	a := address{host: net.JoinHostPort(u.Hostname(), port), namespace: strings.Trim(u.Path, "/")}
	a.name = "temporal://" + a.host + "/" + a.namespace
	if u.User != nil {
		return address{}, invalid(a.name, "a login is in the URL, where others can see it",
			"put the API key into the environment as TEMPORAL_API_KEY, or write api-key-file=FILE")
	}
	if a.namespace == "" || strings.Contains(a.namespace, "/") {
		return address{}, invalid(a.name, "the namespace is missing", "write temporal://"+a.host+"/NAMESPACE")
	}
	p, err := parameters(u.RawQuery)
	if err != nil {
		return address{}, invalid(a.name, err.Error(), "tls, ca, cert, key, server-name and api-key-file are known")
	}
	if a.tls, err = p.transport(a.name); err != nil {
		return address{}, err
	}
	if a.login, err = p.credentials(a.name, apiKey); err != nil {
		return address{}, err
	}
	if a.login != nil && a.tls == nil && !loopback(u.Hostname()) {
		return address{}, invalid(a.name, "the API key would be sent in the clear", "add ?tls=true")
	}
	return a, nil
}

// settings are the parameters of a URL.
type settings struct{ tls, ca, cert, key, serverName, apiKeyFile string }

func parameters(query string) (settings, error) {
	var s settings
	known := map[string]*string{"tls": &s.tls, "ca": &s.ca, "cert": &s.cert, "key": &s.key,
		"server-name": &s.serverName, "api-key-file": &s.apiKeyFile}
	values, err := url.ParseQuery(query)
	if err != nil {
		return s, errors.New("its parameters cannot be read")
	}
	for name, value := range values {
		into := known[name]
		switch {
		case strings.Contains(name, "key") && into == nil || strings.Contains(name, "password"):
			return s, errors.New("an API key is in the URL, where others can see it")
		case into == nil:
			return s, errors.New("it has an unknown parameter")
		case len(value) != 1 || value[0] == "":
			return s, errors.New("parameter " + name + " must have one value")
		}
		*into = value[0]
	}
	if s.tls != "" && s.tls != "true" && s.tls != "false" {
		return s, errors.New("tls must be true or false")
	}
	if (s.cert == "") != (s.key == "") {
		return s, errors.New("cert and key belong together")
	}
	return s, nil
}

// transport returns the settings of TLS; nil means none.
func (s settings) transport(name string) (*tls.Config, error) {
	if s.tls == "false" || s.tls+s.ca+s.cert+s.serverName == "" {
		if s.ca+s.cert+s.serverName != "" {
			return nil, invalid(name, "it has parameters of TLS, and tls=false", "remove tls=false")
		}
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.serverName}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		if err != nil {
			return nil, unreadable(s.ca, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, unreadable(s.ca, errors.New("no certificate in PEM form is in it"))
		}
	}
	if s.cert != "" {
		if _, err := tls.LoadX509KeyPair(s.cert, s.key); err != nil {
			return nil, unreadable(s.cert, err)
		}
		// Read at each connection, so that a certificate that was renewed is used without a restart.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.cert, s.key)
			return &pair, err
		}
	}
	return c, nil
}

func (s settings) credentials(name, apiKey string) (client.Credentials, error) {
	if s.apiKeyFile == "" {
		if apiKey == "" {
			return nil, nil //nolint:nilnil // no login is no error
		}
		return client.NewAPIKeyStaticCredentials(apiKey), nil
	}
	if apiKey != "" {
		return nil, invalid(name, "two API keys are given", "remove api-key-file, or TEMPORAL_API_KEY from the environment")
	}
	if _, err := readKey(s.apiKeyFile); err != nil {
		return nil, err
	}
	// Read at each request, so that a key that was renewed is used without a restart.
	return client.NewAPIKeyDynamicCredentials(func(context.Context) (string, error) { return readKey(s.apiKeyFile) }), nil
}

func readKey(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", unreadable(file, err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		return "", unreadable(file, errors.New("it is empty"))
	}
	return key, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func invalid(name, text, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read engine", Name: name, Err: errors.New(text), Hint: hint}
}

func unreadable(file string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read engine", Name: file, Err: err}
}
