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
	After int64 `query:"after" minimum:"0" maximum:"9007199254740992" doc:"the cursor: the value of next from the previous page"`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
}

// admin registers the operations on the server itself.
func (a *api) admin() {
	op := func(id, method, path string, role wire.Role, status int, text string) operation {
		return operation{id: id, method: method, path: path, role: role, status: status, text: text, tag: "server"}
	}
	handle(a, op("whoami", http.MethodGet, "/whoami", wire.Reader, http.StatusOK,
		"Get the name and the role of the caller"), a.whoami)
	handle(a, op("list-registries", http.MethodGet, "/registries", wire.Reader, http.StatusOK,
		"List the configured registries"), a.listRegistries)

	handle(a, op("list-workers", http.MethodGet, "/workers", wire.Reader, http.StatusOK,
		"List the processes that run jobs: servers, and workers of other machines"), a.listWorkers)

	handle(a, op("list-tokens", http.MethodGet, "/tokens", wire.Admin, http.StatusOK,
		"List the API tokens, without their secrets"), a.listTokens)
	handle(a, op("make-token", http.MethodPost, "/tokens", wire.Admin, http.StatusCreated,
		"Create an API token"), a.makeToken)
	handle(a, op("revoke-token", http.MethodDelete, "/tokens/{id}", wire.Admin, http.StatusNoContent,
		"Revoke an API token; it stops working at once"), a.revokeToken)

	handle(a, op("list-secrets", http.MethodGet, "/secrets", wire.Admin, http.StatusOK,
		"List the stored logins, without their user names and passwords"), a.listSecrets)
	handle(a, op("put-secret", http.MethodPut, "/secrets/{id}", wire.Admin, http.StatusNoContent,
		"Store a login for a registry, encrypted"), a.putSecret)
	handle(a, op("delete-secret", http.MethodDelete, "/secrets/{id}", wire.Admin, http.StatusNoContent,
		"Delete a stored login"), a.deleteSecret)

	handle(a, op("list-audit", http.MethodGet, "/audit", wire.Admin, http.StatusOK,
		"List the entries of the audit log, the oldest first"), a.listAudit)
	handle(a, op("get-audit-head", http.MethodGet, "/audit/head", wire.Admin, http.StatusOK,
		"Get the last entry of the audit log, signed with a key that is not in the database"), a.auditHead)
	handle(a, op("verify-audit", http.MethodGet, "/audit/verification", wire.Admin, http.StatusOK,
		"Read the whole audit log and verify its hash chain"), a.verifyAudit)
}

func (a *api) whoami(ctx context.Context, _ *struct{}) (*body[wire.Whoami], error) {
	p := caller(ctx)
	return &body[wire.Whoami]{wire.Whoami{Name: p.Name, Role: p.Role, Via: p.Via, Version: a.Version}}, nil
}

func (a *api) listRegistries(context.Context, *struct{}) (*body[wire.Registries], error) {
	return &body[wire.Registries]{a.Registries}, nil
}

func (a *api) listWorkers(ctx context.Context, _ *struct{}) (*body[wire.Workers], error) {
	all, err := a.Queue.Workers(ctx)
	return &body[wire.Workers]{wire.Workers{Workers: append([]wire.Worker{}, all...)}}, err
}

func (a *api) listTokens(ctx context.Context, _ *struct{}) (*body[wire.Tokens], error) {
	all, err := a.Access.Tokens(ctx)
	return &body[wire.Tokens]{wire.Tokens{Tokens: all}}, err
}

func (a *api) makeToken(ctx context.Context, in *body[wire.NewToken]) (*created[wire.MadeToken], error) {
	secret, t, err := a.Access.NewToken(ctx, wire.Token{
		Name:      in.Body.Name,
		Principal: in.Body.Principal,
		Role:      in.Body.Role,
		By:        caller(ctx).Name,
		Expires:   in.Body.Expires,
	})
	made := wire.MadeToken{Token: t, Secret: secret.Reveal()}
	return &created[wire.MadeToken]{wire.Prefix + "/tokens/" + t.ID, made}, err
}

func (a *api) revokeToken(ctx context.Context, in *ByID) (*noContent, error) {
	return &noContent{}, a.Access.RevokeToken(ctx, caller(ctx).Name, in.ID)
}

func (a *api) listSecrets(ctx context.Context, _ *struct{}) (*body[wire.Secrets], error) {
	all, err := a.Access.Secrets(ctx)
	return &body[wire.Secrets]{wire.Secrets{Secrets: all}}, err
}

func (a *api) putSecret(ctx context.Context, in *secretBody) (*noContent, error) {
	b := in.Body
	login := credential.Login{
		Scheme:   credential.Scheme(b.Scheme),
		User:     b.User,
		Password: credential.New(b.Password),
	}
	if b.Scheme == "basic" {
		login.Scheme = credential.Basic
	}
	return &noContent{}, a.Access.PutSecret(ctx, caller(ctx).Name, in.ID, b.Place, login)
}

func (a *api) deleteSecret(ctx context.Context, in *ByID) (*noContent, error) {
	return &noContent{}, a.Access.DeleteSecret(ctx, caller(ctx).Name, in.ID)
}

func (a *api) listAudit(ctx context.Context, in *auditing) (*body[wire.Entries], error) {
	all, err := a.Access.Entries(ctx, in.After, in.Limit)
	out := wire.Entries{Entries: all}
	if n := len(all); n > 0 && n == in.Limit {
		out.Next = all[n-1].Seq
	}
	return &body[wire.Entries]{out}, err
}

func (a *api) auditHead(ctx context.Context, _ *struct{}) (*body[wire.Head], error) {
	h, err := a.Access.Head(ctx)
	return &body[wire.Head]{h}, err
}

func (a *api) verifyAudit(ctx context.Context, _ *struct{}) (*body[wire.Verdict], error) {
	err := a.Access.Verify(ctx)
	if fault.Is(err, fault.Corrupt) {
		return &body[wire.Verdict]{wire.Verdict{Problem: err.Error()}}, nil
	}
	return &body[wire.Verdict]{wire.Verdict{Whole: err == nil}}, err
}
