package remote

import (
	"time"

	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/push"
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
)

// What a Client and a Repository speak of, by the names that their users know.
type (
	Budget   = limit.Budget
	Draw     = limit.Draw
	Manifest = list.Manifest
	Place    = push.Place
	Rights   = product.Rights
	Traits   = product.Traits
)

// ErrUnauthorized is in the tree of an error when the registry itself, and not its token service, answered 401 for good.
var ErrUnauthorized = signin.ErrUnauthorized

// IsAbsent reports whether err is the registry's own word that the repository is not
// there. Any other error of a listing tells nothing about what the repository holds.
func IsAbsent(err error) bool { return wire.IsAbsent(err) }

// SpentUntil reports whether err says that a pull limit is spent, and until when at the latest.
func SpentUntil(err error) (until time.Time, is bool) { return limit.SpentUntil(err) }
