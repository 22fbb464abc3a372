package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

// admit passes a request on if its principal has the role that the operation requires. An
// operation without a role refuses every request.
func (a *api) admit(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	p, err := a.Authenticate(r)
	if err != nil {
		problemOf(err).unauthorized().write(w)
		return
	}
	least, _ := ctx.Operation().Metadata["role"].(access.Role)
	if !p.Role.Covers(least) {
		problemOf(&fault.Fault{
			Kind: fault.Denied,
			Op:   p.Name + " may not",
			Name: strings.ReplaceAll(ctx.Operation().OperationID, "-", " "),
			Err:  errors.New("the operation requires the role " + string(least)),
			Hint: "use a token with that role",
		}).write(w)
		return
	}
	next(huma.WithValue(ctx, callerKey{}, callInfo{p, http.NewResponseController(w)}))
}

// callerKey is the context key of a request's callInfo. The context is the only way from huma's
// middleware to its handlers.
type callerKey struct{}

// callInfo holds the principal of a request and the connection that the request came over.
type callInfo struct {
	principal access.Principal
	conn      *http.ResponseController
}

// caller returns the principal that sent the request.
func caller(ctx context.Context) access.Principal {
	c, _ := ctx.Value(callerKey{}).(callInfo)
	return c.principal
}

// clearReadDeadline removes the deadline for reading the body. Otherwise this deadline would cut
// an answer that is held.
func clearReadDeadline(ctx context.Context) {
	if c, ok := ctx.Value(callerKey{}).(callInfo); ok {
		_ = c.conn.SetReadDeadline(time.Time{}) // an error means that the writer has no deadlines
	}
}
