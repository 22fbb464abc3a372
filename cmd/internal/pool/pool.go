package pool

import (
	"errors"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

const (
	// Default stands for the jobs that belong to no pool, where a process says which pools it serves. In a job, no
	// pool is "".
	Default = "default"

	// own is the beginning of the names that Own returns.
	own = "own-"
)

// Own returns the pool of the jobs that touch the registry with the storage id. Only the servers of that storage
// serve it.
func Own(id string) string { return own + id }

// IsOwn reports whether name is a pool of Own.
func IsOwn(name string) bool { return strings.HasPrefix(name, own) }

// Pools has the registries of each pool by its name: their hosts, and patterns *.DOMAIN, as Registry returns them.
// The nil Pools has no pool.
type Pools map[string][]string

// maxName is the maximum length of a name in bytes. Names become parts of those of task queues.
const maxName = 63

// wellFormed reports whether name has only words of letters and digits, with a hyphen between each two.
func wellFormed(name string) bool {
	for word := range strings.SplitSeq(name, "-") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	return len(name) <= maxName
}

// Name returns Invalid if a pool of the configuration cannot have the name.
func Name(name string) error {
	switch {
	case !wellFormed(name):
		return invalid(name, "not a valid name of a pool",
			"use at most 63 lower-case letters, digits and single hyphens, such as zone-b")
	case name == Default:
		return invalid(name, "the name is taken: it means the jobs of no pool", "choose another name")
	case IsOwn(name):
		return invalid(name, "names that begin with own- belong to the registries of servers", "choose another name")
	}
	return nil
}

// Registry returns the normal form of a registry of a pool: HOST, HOST:PORT, or *.DOMAIN. The error is Invalid.
func Registry(s string) (string, error) {
	const hint = "write HOST, HOST:PORT or *.DOMAIN"
	domain, many := strings.CutPrefix(s, "*.")
	host, err := ref.Host(domain)
	switch {
	case err != nil:
		return "", err
	case many && (strings.Contains(host, ":") || strings.Contains(host, "*")):
		return "", invalid(s, "a pattern has one star, and no port", hint)
	case many:
		return "*." + host, nil
	case !ref.LooksLikeHost(host):
		return "", invalid(s, "not a host", hint)
	}
	return host, nil
}

// Of returns the pool of a registry; "" means none. host is in its normal form. A host counts before a pattern, and
// a long pattern before a short one.
func (p Pools) Of(host string) string {
	bare := host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		bare = host[:i]
	}
	best, longest := "", ""
	for name, all := range p {
		for _, of := range all {
			if of == host {
				return name
			}
			domain, many := strings.CutPrefix(of, "*")
			if many && strings.HasSuffix(bare, domain) && len(domain) > len(longest) {
				best, longest = name, domain
			}
		}
	}
	return best
}

func invalid(name, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read pool", Name: strconv.Quote(name),
		Hint: hint, Err: errors.New(cause)}
}
