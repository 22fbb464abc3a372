package remote

import (
	"time"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/push"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/signin"
)

// Types of the subpackages that callers of Client and Repository use.
type (
	// Budget is what is known about the pull limit of a registry.
	Budget = limit.Budget
	// Draw describes one request to a function that shares the limits among processes.
	Draw = limit.Draw
	// Manifest is one manifest or index of a repository, as a list describes it.
	Manifest = list.Manifest
	// Place is the repository or project that must exist before a push.
	Place = push.Place
	// Traits is what is known about a registry in advance.
	Traits = product.Traits
)

// ErrUnauthorized is in the tree of an error if the final answer of the registry itself, and not of
// its token service, was 401.
var ErrUnauthorized = signin.ErrUnauthorized

// IsAbsent reports whether err is an answer in which the registry itself says that the repository
// does not exist. Any other error of a listing says nothing about what the repository holds.
func IsAbsent(err error) bool { return reason.IsAbsent(err) }

// IsStray reports whether err is a 404 in a form that no registry answers in, such as the page of a proxy.
// It says nothing about what the registry has.
func IsStray(err error) bool { return reason.IsStray(err) }

// IsForbidden reports whether err is a 403 of the registry itself. Some registries answer it for
// what does not exist, too. A 403 that names another cause, such as a network rule, is no such 403.
func IsForbidden(err error) bool { return reason.IsForbidden(err) }

// IsBarred reports whether err is a 403 that no login changes: a network rule refuses this machine, or the
// repository or project must be created first.
func IsBarred(err error) bool { return reason.IsBarred(err) }

// SpentUntil reports whether err says that a pull limit is used up, and returns the time at which
// pulls are available again at the latest.
func SpentUntil(err error) (until time.Time, is bool) { return limit.SpentUntil(err) }
