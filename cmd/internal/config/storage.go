package config

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/fault"
)

// Storage says where the embedded registry stores content. An empty Driver means in the data
// directory. In the maps, the name of a parameter of a group is "GROUP.NAME", such as
// "credentials.type". No parameter is in two of them.
type Storage struct {
	Driver         string            // "filesystem", "s3", "azure" or "gcs"
	Redirect       bool              // clients pull blobs from the object store itself
	Parameters     map[string]string // parameters of the driver
	ParametersEnv  map[string]string // parameters whose values are in variables: the names of the variables
	ParametersFile map[string]string // parameters whose values are in files: absolute paths
}

// parameter says what a parameter of a driver may be.
type parameter struct {
	tag    string   // of YAML: "!!str", "!!int" or "!!bool"; "path" is a text that names a file
	words  []string // the only values; nil means any
	secret bool     // does not belong in the configuration
}

// drivers lists the drivers with their parameters, which have distribution's names.
var drivers = map[string]map[string]parameter{
	"filesystem": {},
	"s3": {
		"accesskey": {tag: "!!str"}, "secretkey": {tag: "!!str", secret: true},
		"bucket": {tag: "!!str"}, "region": {tag: "!!str"}, "rootdirectory": {tag: "!!str"},
		"regionendpoint": {tag: "!!str"}, "redirectendpoint": {tag: "!!str"}, "forcepathstyle": {tag: "!!bool"},
		"secure": {tag: "!!bool"}, "skipverify": {tag: "!!bool"}, "v4auth": {tag: "!!bool"},
		"accelerate": {tag: "!!bool"}, "usedualstack": {tag: "!!bool"}, "usefipsendpoint": {tag: "!!bool"},
		"encrypt": {tag: "!!bool"}, "keyid": {tag: "!!str"}, "objectacl": {tag: "!!str"},
		"storageclass": {tag: "!!str"}, "useragent": {tag: "!!str"},
		"chunksize": {tag: "!!int"}, "multipartcopychunksize": {tag: "!!int"},
		"multipartcopymaxconcurrency": {tag: "!!int"}, "multipartcopythresholdsize": {tag: "!!int"},
	},
	"azure": {
		"accountname": {tag: "!!str"}, "accountkey": {tag: "!!str", secret: true},
		"credentials.type":     {tag: "!!str", words: []string{"shared_key", "client_secret", "default_credentials"}},
		"credentials.clientid": {tag: "!!str"}, "credentials.tenantid": {tag: "!!str"},
		"credentials.secret": {tag: "!!str", secret: true},
		"container":          {tag: "!!str"}, "rootdirectory": {tag: "!!str"},
		"realm": {tag: "!!str"}, "serviceurl": {tag: "!!str"}, "skipverify": {tag: "!!bool"},
		"max_retries": {tag: "!!int"}, "retry_delay": {tag: "!!str"},
	},
	"gcs": {
		"bucket": {tag: "!!str"}, "rootdirectory": {tag: "!!str"}, "keyfile": {tag: "path"},
		"chunksize": {tag: "!!int"}, "maxconcurrency": {tag: "!!int"}, "useragent": {tag: "!!str"},
	},
}

// storages lists the names of the drivers.
func storages() []string { return []string{"filesystem", "s3", "azure", "gcs"} }

// required returns the parameters without which the driver of s cannot work.
func (s Storage) required() []string {
	switch {
	case s.Driver == "s3":
		return []string{"bucket", "region"}
	case s.Driver == "gcs":
		return []string{"bucket"}
	case s.Driver != "azure":
		return nil
	}
	all := []string{"accountname", "container", "credentials.type"}
	switch s.Parameters["credentials.type"] {
	case "shared_key":
		return append(all, "accountkey")
	case "client_secret":
		return append(all, "credentials.clientid", "credentials.tenantid", "credentials.secret")
	}
	return all
}

// storage reads the key storage.
func (p parser) storage(n *yaml.Node, s *Storage) error {
	parts := map[string]*yaml.Node{}
	later := func(key string) field {
		return field{key, func(n *yaml.Node) error { parts[key] = n; return nil }}
	}
	err := p.mapping(n, "storage", []field{
		{"driver", func(n *yaml.Node) error { return p.oneOf(n, storages(), "driver", &s.Driver) }},
		{"redirect", func(n *yaml.Node) error { parts["redirect"] = n; return p.boolean(n, &s.Redirect) }},
		later("parameters"), later("parameters-env"), later("parameters-file"),
	})
	switch {
	case err != nil:
		return err
	case s.Driver == "":
		return p.bad(n, "storage requires a driver", "use one of "+strings.Join(storages(), ", "))
	case s.Driver == "filesystem" && parts["redirect"] != nil:
		return p.bad(parts["redirect"], "redirect requires an object store", "remove it: a directory has no address")
	}
	for _, part := range []struct {
		key  string
		out  *map[string]string
		read func(q parameter, n *yaml.Node, out *string) error
	}{
		{"parameters", &s.Parameters, p.parameter},
		{"parameters-env", &s.ParametersEnv, func(_ parameter, n *yaml.Node, out *string) error { return p.variable(n, out) }},
		{"parameters-file", &s.ParametersFile, func(_ parameter, n *yaml.Node, out *string) error { return p.filePath(n, out) }},
	} {
		if n := parts[part.key]; n != nil {
			*part.out = map[string]string{}
			if err := p.parameters(n, part.key, *s, *part.out, part.read); err != nil {
				return err
			}
		}
	}
	return p.complete(n, *s)
}

// parameters reads the parameters below key into out.
func (p parser) parameters(
	n *yaml.Node, key string, s Storage, out map[string]string, read func(q parameter, n *yaml.Node, out *string) error,
) error {
	if s.Driver == "filesystem" {
		return p.bad(n, "the driver filesystem has no parameters", "remove them: content is in the data directory")
	}
	var fields func(group string) []field
	fields = func(group string) []field {
		var all []field
		for _, name := range slices.Sorted(maps.Keys(drivers[s.Driver])) {
			rest, ok := strings.CutPrefix(name, group)
			if !ok {
				continue
			}
			if sub, _, nested := strings.Cut(rest, "."); nested {
				if len(all) == 0 || all[len(all)-1].key != sub {
					all = append(all, field{sub, func(n *yaml.Node) error { return p.mapping(n, sub, fields(group+sub+".")) }})
				}
				continue
			}
			all = append(all, field{rest, func(n *yaml.Node) error {
				for _, other := range []map[string]string{s.Parameters, s.ParametersEnv, s.ParametersFile} {
					if _, twice := other[name]; twice {
						return p.bad(n, "the parameter "+name+" is set twice", "keep one of them")
					}
				}
				var v string
				err := read(drivers[s.Driver][name], n, &v)
				out[name] = v
				return err
			}})
		}
		return all
	}
	return p.mapping(n, key, fields(""))
}

// parameter reads the value of a parameter.
func (p parser) parameter(q parameter, n *yaml.Node, out *string) error {
	switch {
	case q.secret:
		return p.bad(n, "a secret does not belong in this file",
			"put it in an environment variable or a file, and name that below parameters-env or parameters-file")
	case q.tag == "path":
		return p.filePath(n, out)
	case len(q.words) > 0:
		return p.oneOf(n, q.words, "value", out)
	case q.tag == "!!int":
		var v int
		err := p.count(n, &v)
		*out = strconv.Itoa(v)
		return err
	case q.tag == "!!bool":
		var v bool
		err := p.boolean(n, &v)
		*out = strconv.FormatBool(v)
		return err
	}
	return p.text(n, out)
}

// complete returns an error if s lacks a parameter that its driver requires.
func (p parser) complete(n *yaml.Node, s Storage) error {
	for _, name := range s.required() {
		if s.Parameters[name]+s.ParametersEnv[name]+s.ParametersFile[name] != "" {
			continue
		}
		hint := "set it below parameters, parameters-env or parameters-file"
		if drivers[s.Driver][name].secret {
			hint = "set it below parameters-env or parameters-file"
		}
		return p.bad(n, "storage requires the parameter "+name+" for the driver "+s.Driver, hint)
	}
	return nil
}

// Values returns the parameters of s with their types, those of a group as a map[string]any. It reads the
// variables and the files. The error is Invalid for a value that the driver does not accept, and as for
// passwords for a file that cannot be read. No error contains the value.
func (s Storage) Values(env func(string) string) (map[string]any, error) {
	if len(s.Parameters)+len(s.ParametersEnv)+len(s.ParametersFile) == 0 {
		return nil, nil
	}
	out := map[string]any{}
	put := func(setting, name, text string) error {
		value, err := drivers[s.Driver][name].typed(text)
		if err != nil {
			return &fault.Fault{Kind: fault.Invalid, Op: "read", Name: setting + "." + name, Err: err}
		}
		to := out
		if group, sub, nested := strings.Cut(name, "."); nested {
			if out[group] == nil {
				out[group] = map[string]any{}
			}
			to, name = out[group].(map[string]any), sub
		}
		to[name] = value
		return nil
	}
	for name, text := range s.Parameters {
		if err := put("server.storage.parameters", name, text); err != nil {
			return nil, err
		}
	}
	for name, variable := range s.ParametersEnv {
		const setting = "server.storage.parameters-env"
		text, err := Variable(env, setting+"."+name, variable)
		if err == nil {
			err = put(setting, name, text)
		}
		if err != nil {
			return nil, err
		}
	}
	for name, path := range s.ParametersFile {
		text, err := readSecret(path)
		if err == nil {
			err = put("server.storage.parameters-file", name, strings.TrimRight(text, "\r\n"))
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// typed returns text with the type of q.
func (q parameter) typed(text string) (any, error) {
	switch {
	case len(q.words) > 0 && !slices.Contains(q.words, text):
		return nil, errors.New("must be one of " + strings.Join(q.words, ", "))
	case q.tag == "!!int":
		v, err := strconv.Atoi(text)
		if err != nil {
			return nil, errors.New("must be a whole number")
		}
		return v, nil
	case q.tag == "!!bool":
		v, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("must be true or false")
		}
		return v, nil
	}
	return text, nil
}
