package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/access/kept"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server/certificate"
	"github.com/drayage/dray/cmd/internal/server/guest"
	"github.com/drayage/dray/cmd/internal/server/own"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/temporal"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ours"
	"github.com/drayage/dray/internal/registry"
)

// Check returns what Run would find with c, without serving. It checks each part even if an earlier
// part is bad, and it creates nothing that is missing. While a server runs with the same directory, addresses that
// are in use are no error, since they are free again when that server has ended. Check does not know whose they are.
func Check(ctx context.Context, c Config) []wire.Finding {
	c, err := c.filled()
	if err == nil {
		err = c.checkEngine()
	}
	if err != nil {
		return []wire.Finding{finding("configuration", "", err)}
	}
	all := []wire.Finding{finding("configuration", "valid", nil)}
	add := func(what, text string, err error) { all = append(all, finding(what, text, err)) }

	running, err := checkDir(c.Data)
	if err == nil && c.Engine != "" && c.localContent() {
		_, err = own.Read(c.Data)
	}
	add("data directory", notTried(c.Data, running), err)
	if room, stays, known := c.Storage.RoomAt(c.Data); known {
		f, _ := space(registry.State{Room: room, Stays: stays})
		all = append(all, f)
	}
	if !c.localContent() {
		add("storage", c.Storage.String()+": writes, reads, lists and deletes", checkStorage(ctx, c))
	}
	if err := guest.Files(c.Files).Check(); err != nil {
		add("files", "", err)
	}
	_, err = dray.New(c.Dray)
	add("registries", fmt.Sprintf("%d configured", len(c.Dray.Registries)), err)
	vault, err := checkKey(ctx, c)
	text := "readable"
	if vault == nil && err == nil {
		text = "will be created: " + c.Key.File
	}
	add("key", text, err)
	have, text, err := checkDatabase(ctx, c, vault)
	add("database", text, err)
	if c.Engine != "" {
		text, err := temporal.Try(ctx, temporal.Config{URL: c.Engine, APIKey: c.Env("TEMPORAL_API_KEY")})
		add("engine", text, err)
	}
	if c.TLS.Cert != "" {
		certs, err := certificate.Load(c.TLS.Cert, c.TLS.Key, c.Log)
		text, soon := "", false
		if err == nil {
			text, soon = certs.Expiry(time.Now())
			err = certs.Covers(c.Domain)
		}
		add("TLS", text, err)
		all[len(all)-1].OK = err == nil && !soon
	}
	if c.AuditHeads != "" {
		add("audit heads", c.AuditHeads, kept.Check(c.AuditHeads))
	}
	add("rules and users", counted(len(c.Rules), "rule"), checkAccess(ctx, c))
	main, err := c.checkListen(ctx, have)
	if main != nil {
		defer main.Close() // only now, because Ops must be another address
	}
	addAddress := func(what, addr string, err error) {
		if running && fault.Is(err, fault.Conflict) && c.Ops != c.Listen {
			addr, err = notTried(addr, running), nil
		}
		add(what, addr, err)
	}
	addAddress("listen", c.Listen, err)
	if c.Ops != "" {
		ops, err := listen(ctx, c.Ops)
		if ops != nil {
			err = ops.Close()
		}
		addAddress("ops", c.Ops, err)
	}
	return all
}

// notTried returns what, which is a directory or an address. If a server is running, it says that it was not tried.
func notTried(what string, running bool) string {
	if running {
		what += ", in use and not tried: a server is running here"
	}
	return what
}

// counted returns "1 rule", or "2 rules".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// checkDir returns an error if Run could not create or write the data directory. running is whether a process
// serves it now.
func checkDir(dir string) (running bool, err error) {
	if err := registry.Free(dir); fault.Is(err, fault.Conflict) {
		running = true
	} else if err != nil {
		return false, err
	}
	info, err := os.Stat(dir)
	exists := err == nil
	for errors.Is(err, os.ErrNotExist) { // Run would create dir below the nearest parent that exists
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
		info, err = os.Stat(dir)
	}
	switch {
	case err != nil:
	case !info.IsDir():
		err = os.ErrExist
	case exists:
		err = ours.Check(dir)
	}
	if err == nil {
		err = writable(dir)
	}
	if err != nil {
		return running, own.Unusable(dir, err)
	}
	return running, nil
}

// checkStorage writes, reads, lists and deletes one object in the object store.
func checkStorage(ctx context.Context, c Config) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.Storage.Try(ctx)
}

// writable creates a file in dir and removes it.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// checkKey opens the vault. It returns nil without an error if Run would create the key file.
func checkKey(ctx context.Context, c Config) (*access.Vault, error) {
	if c.Key.File != "" {
		if _, err := os.Stat(c.Key.File); errors.Is(err, os.ErrNotExist) && c.Key.Missing == access.MakeKey {
			return nil, nil
		}
	}
	return access.OpenVault(ctx, c.Key)
}

// checkAccess reads the rules, the roles and the user files, with a temporary key and database.
func checkAccess(ctx context.Context, c Config) error {
	dir, err := os.MkdirTemp("", "dray-check-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	vault, err := access.OpenVault(ctx, access.KeySource{File: filepath.Join(dir, keyFile)})
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, databaseFile))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // its directory is removed next
	_, err = access.Open(ctx, access.Config{
		DB:       db,
		Vault:    vault,
		Htpasswd: c.Htpasswd,
		ClientCA: c.TLS.ClientCA,
		Roles:    c.Roles,
		Rules:    c.Rules,
	})
	return err
}

// checkDatabase reads the database, even while a server uses it. A nil vault has no key.
func checkDatabase(ctx context.Context, c Config, vault *access.Vault) (have users, text string, err error) {
	if path, ok := filePath(c.Database); ok {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return noUsers, "will be created: " + path, nil
		}
	}
	db, err := store.OpenReadOnly(ctx, c.Database)
	if err != nil {
		return unknownUsers, "", err
	}
	defer func() { _ = db.Close() }() // it was opened to read only
	behind, err := older(ctx, db, vault)
	if err != nil {
		return unknownUsers, "", err
	}
	if behind != "" {
		behind = "; the next start upgrades its tables (" + behind + ")"
	}
	tokens := db.QueryRowContext(ctx,
		`SELECT COUNT(*) FROM access_tokens WHERE revoked = 0 AND expires > $1`, store.Micros(time.Now()))
	var n int
	switch err := db.Explain("read the tokens", tokens.Scan(&n)); {
	case fault.Is(err, fault.Corrupt):
		return unknownUsers, "", err
	case err != nil:
		return noUsers, db.URL() + ", not used yet" + behind, nil // a missing table is not an error: Run creates the tables
	}
	var queued int
	_ = db.QueryRowContext(ctx, `SELECT COUNT(*) FROM jobs WHERE state = $1`, string(job.Queued)).Scan(&queued)
	have = noUsers
	if n > 0 {
		have = someUsers
	}
	return have, fmt.Sprintf("%s, %s, %s queued%s", db.URL(), counted(n, "token"), counted(queued, "job"), behind), nil
}

// checkListen listens on c.Listen as Run would. The caller must close the listener, if it is not nil.
func (c Config) checkListen(ctx context.Context, have users) (net.Listener, error) {
	if c.Htpasswd != "" || c.TLS.ClientCA != "" {
		have = someUsers
	}
	if err := c.mayListen(have); err != nil {
		return nil, err
	}
	return listen(ctx, c.Listen)
}
