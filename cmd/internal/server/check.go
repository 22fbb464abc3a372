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
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
)

// Check says what Run would find, without serving: each part is looked at even where one
// before it is bad. It makes nothing that is not there, and may run beside the server: a
// directory that is in use is told, and is no fault.
func Check(ctx context.Context, c Config) []wire.Finding {
	c, err := c.filled()
	if err != nil {
		return []wire.Finding{finding("configuration", "", err)}
	}
	all := []wire.Finding{finding("configuration", "can work", nil)}
	add := func(what, text string, err error) { all = append(all, finding(what, text, err)) }

	add("data directory", c.Data, checkDir(c.Data))
	_, err = dray.New(c.Dray)
	add("registries", fmt.Sprintf("%d configured", len(c.Dray.Registries)), err)
	vault, err := checkKey(ctx, c)
	text := "readable"
	if vault == nil && err == nil {
		text = "it will be made: " + c.Key.File
	}
	add("key", text, err)
	have, text, err := checkDatabase(ctx, c)
	add("database", text, err)
	if c.TLS.Cert != "" {
		certs, err := loadCerts(c, nil)
		text, soon := "", false
		if err == nil {
			text, soon = expiry(certs, time.Now())
		}
		add("TLS", text, err)
		all[len(all)-1].OK = err == nil && !soon
	}
	add("rules and users", fmt.Sprintf("%d rules", len(c.Rules)), checkAccess(ctx, c))
	add("listen", c.Listen, c.checkListen(ctx, have))
	return all
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	for errors.Is(err, os.ErrNotExist) { // it would be made in the nearest that is there
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
		info, err = os.Stat(dir)
	}
	if err == nil && !info.IsDir() {
		err = os.ErrExist
	}
	if err == nil {
		err = writable(dir)
	}
	if err != nil {
		return dataFault(dir, err)
	}
	return nil
}

// writable makes a file and takes it away.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// checkKey opens the vault; nil without an error is a key's file that will be made.
func checkKey(ctx context.Context, c Config) (*access.Vault, error) {
	if c.Key.File != "" {
		if _, err := os.Stat(c.Key.File); errors.Is(err, os.ErrNotExist) && c.Key.Missing == access.MakeKey {
			return nil, nil
		}
	}
	return access.OpenVault(ctx, c.Key)
}

// checkAccess reads the rules, roles and files in a database of its own.
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
	defer db.Close()
	_, err = access.Open(ctx, access.Config{DB: db, Vault: vault, Htpasswd: c.Htpasswd, ClientCA: c.TLS.ClientCA, Roles: c.Roles, Rules: c.Rules})
	return err
}

// checkDatabase looks at the database beside whoever has it.
func checkDatabase(ctx context.Context, c Config) (have users, text string, err error) {
	if path, ok := filePath(c.Database); ok {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return noUsers, "it will be made: " + path, nil
		}
	}
	db, err := store.OpenReadOnly(ctx, c.Database)
	if err != nil {
		return unknownUsers, "", err
	}
	defer db.Close()
	var n int
	now := store.Micros(time.Now())
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM access_tokens WHERE revoked = 0 AND expires > $1`, now).Scan(&n); err != nil {
		return noUsers, db.URL() + ", not used yet", nil // no table is no fault
	}
	var queued int
	_ = db.QueryRowContext(ctx, `SELECT COUNT(*) FROM jobs WHERE state = $1`, string(job.Queued)).Scan(&queued)
	have = noUsers
	if n > 0 {
		have = someUsers
	}
	return have, fmt.Sprintf("%s, %d tokens, %d jobs queued", db.URL(), n, queued), nil
}

func (c Config) checkListen(ctx context.Context, have users) error {
	if c.Htpasswd != "" || c.TLS.ClientCA != "" {
		have = someUsers
	}
	if err := c.mayListen(have); err != nil {
		return err
	}
	if conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Listen); err == nil {
		return conn.Close() // something serves there: this server, as far as one can tell
	}
	l, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	return l.Close()
}
