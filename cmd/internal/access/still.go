package access

import (
	"context"
	"errors"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Still is p, who asked for something once, as it stands now, when that begins: with p.Role at
// most, and with less where less is left of it. A token gives way to another of the same
// principal. The error is Denied where p is nobody any more: every token of it has ended, or its
// user is gone. Of certificates, and of who came from this machine, nobody keeps a list, and of
// users none but processes with the file: those are what they were.
func (a *Access) Still(ctx context.Context, p Principal) (Principal, error) {
	if p.Via != ViaToken && (p.Via != ViaHtpasswd || a.users == nil) {
		return p, nil
	}
	now, err := a.standing(ctx, p.Name)
	switch {
	case err != nil:
		return Principal{}, err
	case !now.Known():
		return Principal{}, &fault.Fault{Kind: fault.Denied, Op: "allow " + p.Name, Err: errors.New("every token of it has ended, or its user is gone"),
			Hint: "make a token for it, and ask again"}
	case !now.Covers(p.Role):
		p.Role = now
	}
	return p, nil
}

// standing is the greatest role that a token or the user of this name has; "" is none.
func (a *Access) standing(ctx context.Context, name string) (Role, error) {
	var best Role
	if a.users != nil {
		users, err := a.users.current()
		if err != nil {
			return "", err
		}
		if _, there := users[name]; there {
			best = a.roleOf(name)
		}
	}
	rows, err := a.db.QueryContext(ctx, `SELECT role FROM access_tokens WHERE principal = $1 AND revoked = 0 AND expires > $2`, name, store.Micros(a.now()))
	if err != nil {
		return "", dbFault("look up", "tokens of "+name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var role Role
		if err := rows.Scan(&role); err != nil {
			return "", dbFault("look up", "tokens of "+name, err)
		}
		if role.Known() && !best.Covers(role) {
			best = role
		}
	}
	return best, dbFault("look up", "tokens of "+name, rows.Err())
}
