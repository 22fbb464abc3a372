package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/shell"
)

const (
	maxBody  = 1 << 20          // bytes of a request's body
	bodyTime = 30 * time.Second // to read a request's body
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
			Err:  fmt.Errorf("%s has the role %s, and the operation requires the role %s", p.Name, p.Role, least),
			Hint: roleHint(p, least),
		}).write(w)
		return
	}
	words := name.Fields
	if r.Header.Get(wire.WordsHeader) == wire.FlagWords {
		words = name.Flags
	}
	call := callInfo{p, words, http.NewResponseController(w), r.Body, func() {}}
	if streams, _ := ctx.Operation().Metadata["streams"].(bool); !streams && ctx.Operation().RequestBody != nil {
		_ = call.conn.SetReadDeadline(time.Now().Add(bodyTime)) // an error means that the writer has no deadlines
		call.release, err = a.Memory.Body(r, p.Name, maxBody, memory.Decoded)
		defer call.release()
		if form, ok := ctx.Operation().Metadata["form"].(reflect.Type); ok && err == nil {
			err = checkForm(r, form)
		}
		if err != nil {
			problemOf(err).write(w)
			return
		}
	}
	next(huma.WithValue(ctx, callerKey{}, call))
}

// roleHint says how p gets the role. A token has its role for good; other principals have theirs from the
// configuration of the server.
func roleHint(p access.Principal, role access.Role) string {
	if p.Via == access.ViaToken {
		return "ask an admin for a token with that role: " +
			shell.Dray("serve", "token", "create", p.Name, "--role", string(role))
	}
	return "ask an admin to set it in server.auth.roles of the server's configuration, " + p.Name + ": " + string(role)
}

// callerKey is the context key of a request's callInfo. The context is the only way from huma's
// middleware to its handlers.
type callerKey struct{}

// callInfo holds the principal of a request, the words for its hints, and the connection that it came over.
type callInfo struct {
	principal access.Principal
	words     name.Words
	conn      *http.ResponseController
	body      io.Reader // for an operation that reads it itself
	release   func()    // gives the memory of the body back
}

// caller returns the principal that sent the request.
func caller(ctx context.Context) access.Principal {
	c, _ := ctx.Value(callerKey{}).(callInfo)
	return c.principal
}

// verb returns the service with the words for the caller's hints.
func (a *api) verb(ctx context.Context) *verb.Service {
	c, _ := ctx.Value(callerKey{}).(callInfo)
	return a.Verb.In(c.words)
}
