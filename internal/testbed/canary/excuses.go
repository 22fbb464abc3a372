package canary

import "slices"

// Shows reports whether a command shows a secret because that is what it is for.
func Shows(args []string) bool {
	return slices.Contains(args, "--expose-token") || // the registry's token, for docker login
		slices.Contains(args, "token") && slices.Contains(args, "create") // a new token of dray, once
}

// Excuses returns the reasons for which tests of a package, named by the last element of its path, leave files with
// secrets in them.
func Excuses(of string) []Reason {
	return slices.DeleteFunc(excuses(), func(r Reason) bool { return r.Package != "" && r.Package != of })
}

func excuses() []Reason {
	const (
		input   = "the test gives it to dray, as a user would"
		refused = "a file with a secret in it, which dray refuses"
		login   = "dray login stores logins there, as docker does, and says so"
	)
	return []Reason{
		{"credential", "cert.pem", input}, {"credential", "key.json", input}, {"credential", "token", input},
		{"credential", "oidc", input}, {"credential", "pod", input}, {"credential", "subject", input},
		{"credential", ".aws/credentials", input}, {"credential", "application_default_credentials.json", input},
		{"credential", "docker-credential-sick", input}, {"credential", "az", input}, {"credential", "my tools/keys", input},
		{"access", "f", refused}, {"cli", "good", input}, {"credential", "wif.json", input},
		{"ends", "001/test", "a copy of the test program, which has the word in it"},
		{"cli", "password", input}, {"cli", "az.json", input}, {"cli", "auth.json", login},
		{"dray", "blobs/sha256/*", "a manifest has an address with a password in it, and content is copied as it is"},
		{"", ".docker/config.json", login}, {"", "azure/service_principal_entries.json", "az stores its own login there"},
		{"", "cosign.key", "cosign stores its own key there"}, {"", "key.pem", "a test makes a key for a server or a signer"},
		{"config", "config.yaml", refused}, {"config", "m.yaml", refused},
	}
}
