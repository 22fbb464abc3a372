package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

// admit lets a request in whose principal has the role that the operation asks for. One that
// asks for none lets nobody in.
func (a *api) admit(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	p, err := a.Authenticate(r)
	if err != nil {
		problemOf(err).unauthorized().write(w)
		return
	}
	least, _ := ctx.Operation().Metadata["role"].(access.Role)
	if !p.Role.Covers(least) {
		problemOf(&fault.Fault{Kind: fault.Denied, Op: "allow " + p.Name, Name: ctx.Operation().OperationID, Err: errors.New("it takes the role " + string(least)), Hint: "use a token of that role"}).write(w)
		return
	}
	next(huma.WithValue(ctx, callerKey{}, callInfo{p, http.NewResponseController(w)}))
}

// callerKey is under which a request's call is kept: the middleware and the handlers of huma
// have nothing else in common.
type callerKey struct{}

// callInfo is who asks, and the connection that they ask over.
type callInfo struct {
	principal access.Principal
	conn      *http.ResponseController
}

func caller(ctx context.Context) access.Principal {
	c, _ := ctx.Value(callerKey{}).(callInfo)
	return c.principal
}

// clearReadDeadline takes back the deadline to which the body was read: an answer that is held would
// be cut by it.
func clearReadDeadline(ctx context.Context) {
	if c, ok := ctx.Value(callerKey{}).(callInfo); ok {
		_ = c.conn.SetReadDeadline(time.Time{}) // a writer without deadlines has none to take back
	}
}
