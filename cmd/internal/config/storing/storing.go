// Package storing knows the parameters of the object stores in which a server's registry can store content.
package storing

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	Free           *int64            // bytes of the disk that stay free; nil means the default, 0 means none
}

// Parameter says what a parameter of a driver may be.
type Parameter struct {
	Tag    string   // of YAML: "!!str", "!!int" or "!!bool"
	Path   bool     // names a file
	Words  []string // the only values; nil means any
	Secret bool     // does not belong in the configuration
}

// drivers lists the parameters of each driver, which have distribution's names.
var drivers = map[string]map[string]Parameter{
	"filesystem": {},
	"s3": {
		"accesskey": {Tag: "!!str"}, "secretkey": {Tag: "!!str", Secret: true},
		"bucket": {Tag: "!!str"}, "region": {Tag: "!!str"}, "rootdirectory": {Tag: "!!str"},
		"regionendpoint": {Tag: "!!str"}, "redirectendpoint": {Tag: "!!str"}, "forcepathstyle": {Tag: "!!bool"},
		"secure": {Tag: "!!bool"}, "skipverify": {Tag: "!!bool"}, "v4auth": {Tag: "!!bool"},
		"accelerate": {Tag: "!!bool"}, "usedualstack": {Tag: "!!bool"}, "usefipsendpoint": {Tag: "!!bool"},
		"encrypt": {Tag: "!!bool"}, "keyid": {Tag: "!!str"}, "objectacl": {Tag: "!!str"},
		"storageclass": {Tag: "!!str"}, "useragent": {Tag: "!!str"},
		"chunksize": {Tag: "!!int"}, "multipartcopychunksize": {Tag: "!!int"},
		"multipartcopymaxconcurrency": {Tag: "!!int"}, "multipartcopythresholdsize": {Tag: "!!int"},
	},
	"azure": {
		"accountname": {Tag: "!!str"}, "accountkey": {Tag: "!!str", Secret: true},
		"credentials.type":     {Tag: "!!str", Words: []string{"shared_key", "client_secret", "default_credentials"}},
		"credentials.clientid": {Tag: "!!str"}, "credentials.tenantid": {Tag: "!!str"},
		"credentials.secret": {Tag: "!!str", Secret: true},
		"container":          {Tag: "!!str"}, "rootdirectory": {Tag: "!!str"},
		"realm": {Tag: "!!str"}, "serviceurl": {Tag: "!!str"}, "skipverify": {Tag: "!!bool"},
		"max_retries": {Tag: "!!int"}, "retry_delay": {Tag: "!!str"},
	},
	"gcs": {
		"bucket": {Tag: "!!str"}, "rootdirectory": {Tag: "!!str"}, "keyfile": {Tag: "!!str", Path: true},
		"chunksize": {Tag: "!!int"}, "maxconcurrency": {Tag: "!!int"}, "useragent": {Tag: "!!str"},
	},
}

// Drivers lists the names of the drivers.
func Drivers() []string { return []string{"filesystem", "s3", "azure", "gcs"} }

// Names lists the parameters of a driver, sorted.
func Names(driver string) []string { return slices.Sorted(maps.Keys(drivers[driver])) }

// Of returns a parameter of a driver.
func Of(driver, name string) Parameter { return drivers[driver][name] }

// Has reports whether the parameter is set.
func (s Storage) Has(name string) bool {
	return s.Parameters[name]+s.ParametersEnv[name]+s.ParametersFile[name] != ""
}

// Lacks says which parameter is not set without which the driver cannot work, and what to do; "" if there is none.
func (s Storage) Lacks() (what, hint string) {
	for _, name := range s.required() {
		if s.Has(name) {
			continue
		}
		hint = "set it below parameters, parameters-env or parameters-file"
		if Of(s.Driver, name).Secret {
			hint = "set it below parameters-env or parameters-file"
		}
		return "storage requires the parameter " + name + " for the driver " + s.Driver, hint
	}
	return "", ""
}

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

// Values returns the parameters of s with their types, those of a group as a map[string]any. variable reads a
// variable for a setting, and file reads a file. The error is theirs, or Invalid for a value of the wrong type. It
// does not contain the value.
func (s Storage) Values(
	variable func(setting, name string) (string, error), file func(path string) (string, error),
) (map[string]any, error) {
	if len(s.Parameters)+len(s.ParametersEnv)+len(s.ParametersFile) == 0 {
		return nil, nil
	}
	out := map[string]any{}
	put := func(setting, name, text string) error {
		value, err := drivers[s.Driver][name].Typed(text)
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
	for name, from := range s.ParametersEnv {
		const setting = "server.storage.parameters-env"
		text, err := variable(setting+"."+name, from)
		if err == nil {
			err = put(setting, name, text)
		}
		if err != nil {
			return nil, err
		}
	}
	for name, path := range s.ParametersFile {
		text, err := file(path)
		if err == nil {
			err = put("server.storage.parameters-file", name, strings.TrimRight(text, "\r\n"))
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Typed returns text with the type of q. The error does not contain the text.
func (q Parameter) Typed(text string) (any, error) {
	switch {
	case len(q.Words) > 0 && !slices.Contains(q.Words, text):
		return nil, errors.New("must be one of " + strings.Join(q.Words, ", "))
	case q.Tag == "!!int":
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 {
			return nil, errors.New("must be a whole number")
		}
		return v, nil
	case q.Tag == "!!bool":
		v, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("must be true or false")
		}
		return v, nil
	}
	return text, nil
}
