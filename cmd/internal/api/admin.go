package api

import (
	"context"
	"net/http"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// Whoami is who a request comes from.
type Whoami struct {
	Name    string      `json:"name"`
	Role    access.Role `json:"role"`
	Via     access.Via  `json:"via"`
	Version string      `json:"version,omitempty" doc:"of the server"`
}

// NewToken asks for a token.
type NewToken struct {
	Name      string      `json:"name,omitempty" maxLength:"255" doc:"for people"`
	Principal string      `json:"principal" minLength:"1" maxLength:"255" doc:"who it is for"`
	Role      access.Role `json:"role" enum:"reader,submitter,admin"`
	Expires   time.Time   `json:"expires,omitzero" doc:"in 90 days when left out; 366 at most"`
}

// MadeToken is a token with its secret, which is shown once.
type MadeToken struct {
	access.Token
	Secret string `json:"secret" doc:"shown here, and never again"`
}

// Tokens is all of them.
type Tokens struct {
	Tokens []access.Token `json:"tokens" nullable:"false"`
}

// PutSecret is a login for a registry, or a part of one.
type PutSecret struct {
	Place    string `json:"place" minLength:"1" doc:"HOST or HOST/PATH: the only place that is shown it"`
	Scheme   string `json:"scheme,omitempty" enum:"basic,refresh,bearer,exchange"`
	User     string `json:"user,omitempty"`
	Password string `json:"password" minLength:"1" writeOnly:"true"`
}

// Secrets is all of them, without the logins.
type Secrets struct {
	Secrets []access.Secret `json:"secrets" nullable:"false"`
}

// Registries is all that are configured.
type Registries struct {
	Registries []Registry `json:"registries" nullable:"false"`
}

// Entries is a page of the audit log.
type Entries struct {
	Entries []access.Entry `json:"entries" nullable:"false"`
	Next    int64          `json:"next,omitempty" doc:"after of the next page; none where this is the last"`
}

// Verdict says whether the audit log is whole.
type Verdict struct {
	Whole   bool   `json:"whole"`
	Problem string `json:"problem,omitempty"`
}

type secretBody struct {
	ByID
	Body PutSecret
}

type auditing struct {
	After int64 `query:"after" minimum:"0" doc:"the cursor: next of the page before"`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
}

func (a *api) admin() {
	op := func(id, method, path, text string, role access.Role, status int) operation {
		return operation{id: id, method: method, path: path, role: role, status: status, text: text, tag: "server"}
	}
	handle(a, op("whoami", http.MethodGet, "/whoami", "Who the server takes one for", access.Reader, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[Whoami], error) {
		p := caller(ctx)
		return &body[Whoami]{Whoami{p.Name, p.Role, p.Via, a.Version}}, nil
	})
	handle(a, op("list-registries", http.MethodGet, "/registries", "The registries that are configured", access.Reader, http.StatusOK), func(context.Context, *struct{}) (*body[Registries], error) {
		return &body[Registries]{Registries{append([]Registry{}, a.Registries...)}}, nil
	})
	handle(a, op("list-tokens", http.MethodGet, "/tokens", "API tokens, without their secrets", access.Admin, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[Tokens], error) {
		all, err := a.Access.Tokens(ctx)
		return &body[Tokens]{Tokens{all}}, err
	})
	handle(a, op("make-token", http.MethodPost, "/tokens", "Make an API token", access.Admin, http.StatusCreated), func(ctx context.Context, in *body[NewToken]) (*made[MadeToken], error) {
		b := in.Body
		secret, t, err := a.Access.NewToken(ctx, access.Token{Name: b.Name, Principal: b.Principal, Role: b.Role, By: caller(ctx).Name, Expires: b.Expires})
		return &made[MadeToken]{Prefix + "/tokens/" + t.ID, MadeToken{t, secret.Reveal()}}, err
	})
	handle(a, op("revoke-token", http.MethodDelete, "/tokens/{id}", "End an API token at once", access.Admin, http.StatusNoContent), func(ctx context.Context, in *ByID) (*nothing, error) {
		return &nothing{}, a.Access.RevokeToken(ctx, caller(ctx).Name, in.ID)
	})
	handle(a, op("list-secrets", http.MethodGet, "/secrets", "Logins that are stored, without the logins", access.Admin, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[Secrets], error) {
		all, err := a.Access.Secrets(ctx)
		return &body[Secrets]{Secrets{all}}, err
	})
	handle(a, op("put-secret", http.MethodPut, "/secrets/{id}", "Store a login for a registry, sealed", access.Admin, http.StatusNoContent), func(ctx context.Context, in *secretBody) (*nothing, error) {
		b := in.Body
		scheme := credential.Scheme(b.Scheme)
		if b.Scheme == "basic" {
			scheme = credential.Basic
		}
		return &nothing{}, a.Access.PutSecret(ctx, caller(ctx).Name, in.ID, b.Place, credential.Login{Scheme: scheme, User: b.User, Password: credential.New(b.Password)})
	})
	handle(a, op("delete-secret", http.MethodDelete, "/secrets/{id}", "Forget a login", access.Admin, http.StatusNoContent), func(ctx context.Context, in *ByID) (*nothing, error) {
		return &nothing{}, a.Access.DeleteSecret(ctx, caller(ctx).Name, in.ID)
	})
	handle(a, op("list-audit", http.MethodGet, "/audit", "The audit log, in order", access.Admin, http.StatusOK), func(ctx context.Context, in *auditing) (*body[Entries], error) {
		all, err := a.Access.Entries(ctx, in.After, in.Limit)
		out := Entries{Entries: all}
		if n := len(all); n > 0 && n == in.Limit {
			out.Next = all[n-1].Seq
		}
		return &body[Entries]{out}, err
	})
	handle(a, op("verify-audit", http.MethodGet, "/audit/verification", "Read the whole audit log, and say whether its chain holds", access.Admin, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[Verdict], error) {
		err := a.Access.Verify(ctx)
		if fault.Is(err, fault.Corrupt) {
			return &body[Verdict]{Verdict{Problem: err.Error()}}, nil
		}
		return &body[Verdict]{Verdict{Whole: err == nil}}, err
	})
}
