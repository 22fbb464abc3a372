package api

import (
	"context"
	"net/http"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

type secretBody struct {
	ByID
	Body wire.PutSecret
}

type auditing struct {
	After int64 `query:"after" minimum:"0" doc:"the cursor: the value of next from the previous page"`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
}

// admin registers the operations on the server itself.
func (a *api) admin() {
	op := func(id, method, path, text string, role wire.Role, status int) operation {
		return operation{id: id, method: method, path: path, role: role, status: status, text: text, tag: "server"}
	}
	handle(a, op("whoami", http.MethodGet, "/whoami", "Get the name and the role of the caller", wire.Reader, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[wire.Whoami], error) {
		p := caller(ctx)
		return &body[wire.Whoami]{wire.Whoami{Name: p.Name, Role: p.Role, Via: p.Via, Version: a.Version}}, nil
	})
	handle(a, op("list-registries", http.MethodGet, "/registries", "List the configured registries", wire.Reader, http.StatusOK), func(context.Context, *struct{}) (*body[wire.Registries], error) {
		return &body[wire.Registries]{wire.Registries{Registries: append([]wire.Registry{}, a.Registries...)}}, nil
	})
	handle(a, op("list-tokens", http.MethodGet, "/tokens", "List the API tokens, without their secrets", wire.Admin, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[wire.Tokens], error) {
		all, err := a.Access.Tokens(ctx)
		return &body[wire.Tokens]{wire.Tokens{Tokens: all}}, err
	})
	handle(a, op("make-token", http.MethodPost, "/tokens", "Create an API token", wire.Admin, http.StatusCreated), func(ctx context.Context, in *body[wire.NewToken]) (*created[wire.MadeToken], error) {
		b := in.Body
		secret, t, err := a.Access.NewToken(ctx, wire.Token{Name: b.Name, Principal: b.Principal, Role: b.Role, By: caller(ctx).Name, Expires: b.Expires})
		return &created[wire.MadeToken]{wire.Prefix + "/tokens/" + t.ID, wire.MadeToken{Token: t, Secret: secret.Reveal()}}, err
	})
	handle(a, op("revoke-token", http.MethodDelete, "/tokens/{id}", "Revoke an API token; it stops working at once", wire.Admin, http.StatusNoContent), func(ctx context.Context, in *ByID) (*noContent, error) {
		return &noContent{}, a.Access.RevokeToken(ctx, caller(ctx).Name, in.ID)
	})
	handle(a, op("list-secrets", http.MethodGet, "/secrets", "List the stored logins, without their user names and passwords", wire.Admin, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[wire.Secrets], error) {
		all, err := a.Access.Secrets(ctx)
		return &body[wire.Secrets]{wire.Secrets{Secrets: all}}, err
	})
	handle(a, op("put-secret", http.MethodPut, "/secrets/{id}", "Store a login for a registry, encrypted", wire.Admin, http.StatusNoContent), func(ctx context.Context, in *secretBody) (*noContent, error) {
		b := in.Body
		scheme := credential.Scheme(b.Scheme)
		if b.Scheme == "basic" {
			scheme = credential.Basic
		}
		return &noContent{}, a.Access.PutSecret(ctx, caller(ctx).Name, in.ID, b.Place, credential.Login{Scheme: scheme, User: b.User, Password: credential.New(b.Password)})
	})
	handle(a, op("delete-secret", http.MethodDelete, "/secrets/{id}", "Delete a stored login", wire.Admin, http.StatusNoContent), func(ctx context.Context, in *ByID) (*noContent, error) {
		return &noContent{}, a.Access.DeleteSecret(ctx, caller(ctx).Name, in.ID)
	})
	handle(a, op("list-audit", http.MethodGet, "/audit", "List the entries of the audit log, the oldest first", wire.Admin, http.StatusOK), func(ctx context.Context, in *auditing) (*body[wire.Entries], error) {
		all, err := a.Access.Entries(ctx, in.After, in.Limit)
		out := wire.Entries{Entries: all}
		if n := len(all); n > 0 && n == in.Limit {
			out.Next = all[n-1].Seq
		}
		return &body[wire.Entries]{out}, err
	})
	handle(a, op("verify-audit", http.MethodGet, "/audit/verification", "Read the whole audit log and verify its hash chain", wire.Admin, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[wire.Verdict], error) {
		err := a.Access.Verify(ctx)
		if fault.Is(err, fault.Corrupt) {
			return &body[wire.Verdict]{wire.Verdict{Problem: err.Error()}}, nil
		}
		return &body[wire.Verdict]{wire.Verdict{Whole: err == nil}}, err
	})
}
