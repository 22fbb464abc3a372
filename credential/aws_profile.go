package credential

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"

	"github.com/drayage/dray/fault"
)

// maxRoles is the maximum length of a chain of roles, in which each role is assumed with the one before.
const maxRoles = 5

// keys finds AWS credentials. The result is false if nothing is configured. It asks STS in the region of the
// machine, if that is known, because a closed network may allow only this region.
func (a *aws) keys(ctx context.Context, region string) (awsKeys, bool, error) {
	region = orElse(a.env("AWS_REGION"), orElse(a.env("AWS_DEFAULT_REGION"), region))
	for _, source := range []func(context.Context, string) (awsKeys, bool, error){
		a.fromEnv, a.fromProfile, a.fromWebIdentity, a.fromContainer, a.fromEC2} {
		if k, ok, err := source(ctx, region); ok || err != nil {
			return k, ok, err
		}
	}
	return awsKeys{}, false, nil
}

// profiles holds the settings of the AWS files, by profile.
type profiles map[string]map[string]string

// fromProfile uses the profile that a variable names, or else "default". Only the latter may be missing.
func (a *aws) fromProfile(ctx context.Context, region string) (awsKeys, bool, error) {
	name := orElse(a.env("AWS_PROFILE"), a.env("AWS_DEFAULT_PROFILE"))
	all, err := a.profiles()
	if err != nil {
		return awsKeys{}, false, err
	}
	if _, known := all[name]; name != "" && !known {
		return awsKeys{}, false, badProfile(name, "no such profile in AWS's files")
	}
	k, ok, err := a.profile(ctx, all, orElse(name, "default"), region, 0)
	if !ok && err == nil && name != "" {
		err = badProfile(name, "the profile has no credentials that dray supports")
	}
	return k, ok, err
}

func badProfile(name, why string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "use", Name: "aws profile " + name, Err: errors.New(why)}
}

func (a *aws) profile(ctx context.Context, all profiles, name, region string, depth int) (awsKeys, bool, error) {
	p, who := all[name], "aws profile "+name
	role := p["role_arn"]
	own := awsKeys{p["aws_access_key_id"], New(p["aws_secret_access_key"]), New(p["aws_session_token"]), who}
	hasOwn := own.id != "" && !own.secret.IsZero()
	switch {
	case depth >= maxRoles:
		return awsKeys{}, false, badProfile(name, "it is a chain of more than 5 roles")
	case role != "" && p["web_identity_token_file"] != "":
		return a.webIdentity(ctx, who, p["web_identity_token_file"], role, p["role_session_name"], region)
	case role != "" && p["mfa_serial"] != "":
		return awsKeys{}, false, badProfile(name, "the role requires a code (mfa_serial), which dray cannot ask for")
	case role != "" && (p["source_profile"] != "" || p["credential_source"] != ""):
		base, err := a.base(ctx, all, name, p, region, depth)
		if err != nil {
			return awsKeys{}, false, err
		}
		return a.assume(ctx, who, base, role, p["role_session_name"], p["external_id"], region)
	case hasOwn:
		return own, true, nil
	case p["credential_process"] != "":
		return a.process(ctx, who, p["credential_process"])
	case p["sso_session"] != "" || p["sso_start_url"] != "":
		return awsKeys{}, false, badProfile(name, "logins by SSO are not supported")
	}
	return awsKeys{}, false, nil
}

// base finds the identity with which the role of the profile name is assumed.
func (a *aws) base(
	ctx context.Context, all profiles, name string, p map[string]string, region string, depth int,
) (k awsKeys, err error) {
	var ok bool
	switch from := p["source_profile"]; {
	case from == name: // the keys of the profile itself
		plain := maps.Clone(p)
		delete(plain, "role_arn")
		k, ok, err = a.profile(ctx, profiles{name: plain}, name, region, depth+1)
	case from != "":
		k, ok, err = a.profile(ctx, all, from, region, depth+1)
	case p["credential_source"] == "Environment":
		k, ok, err = a.fromEnv(ctx, region)
	case p["credential_source"] == "EcsContainer":
		k, ok, err = a.fromContainer(ctx, region)
	case p["credential_source"] == "Ec2InstanceMetadata":
		k, ok, err = a.fromEC2(ctx, region)
	}
	if err == nil && !ok {
		err = badProfile(name, "source_profile or credential_source has no credentials")
	}
	return k, err
}

// profiles reads both files. The credentials file takes precedence over the config file.
func (a *aws) profiles() (profiles, error) {
	all := profiles{}
	for _, f := range []struct{ variable, name, prefix string }{
		{"AWS_CONFIG_FILE", "config", "profile "}, {"AWS_SHARED_CREDENTIALS_FILE", "credentials", ""}} {
		path := a.env(f.variable)
		if path == "" && a.Home != "" {
			path = filepath.Join(a.Home, ".aws", f.name)
		}
		if path == "" {
			continue
		}
		data, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &fault.Fault{Kind: fault.Denied, Op: "read aws profiles", Name: path, Err: err}
		}
		all.read(string(data), f.prefix)
	}
	return all, nil
}

// read reads sections and "key = value" lines. It ignores nested settings and other kinds of sections. In the
// config file, the name of a section has a prefix, except for "default".
func (all profiles) read(text, prefix string) {
	var section map[string]string
	for line := range strings.Lines(text) {
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		line = strings.TrimSpace(line)
		if head, ok := strings.CutPrefix(line, "["); ok {
			head, _, _ = strings.Cut(head, "]")
			name, ok := strings.CutPrefix(strings.TrimSpace(head), prefix)
			section = nil
			if name = strings.TrimSpace(name); ok || name == "default" {
				if all[name] == nil {
					all[name] = map[string]string{}
				}
				section = all[name]
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == nil || line[0] == '#' || line[0] == ';' {
			continue
		}
		value, _, _ = strings.Cut(value, " #")
		section[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
}
