//go:build unix

package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresServer is a cluster of its own, on a free port of the loopback address.
type PostgresServer struct {
	URL string // of its first database

	bin, dir string
	port     int
	as       *syscall.Credential // nil: as ourselves
}

// ErrNoPostgres says that this machine has none, or none that this user can start.
var ErrNoPostgres = errors.New("no PostgreSQL here (apt-get install postgresql)")

// Postgres starts PostgreSQL in a temporary directory and returns the address of a database. A
// test on a machine without it is skipped, and says so.
func Postgres(tb testing.TB) string { return NewPostgres(tb).URL }

// NewPostgres is Postgres for tests that stop the server in the middle.
func NewPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	p, err := StartPostgres()
	if errors.Is(err, ErrNoPostgres) {
		tb.Skip("SKIPPED:", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.End)
	return p
}

// StartPostgres is NewPostgres for a cluster that many tests share: End it in TestMain.
func StartPostgres() (*PostgresServer, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // newer ones sort behind, but for 9
	if path, err := exec.LookPath("initdb"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		return nil, ErrNoPostgres
	}
	// Not TempDir: a socket's path may have but a hundred bytes, and another user has to reach it.
	dir, err := os.MkdirTemp("/tmp", "dray-pg-")
	if err != nil {
		return nil, err
	}
	p := &PostgresServer{bin: filepath.Dir(found[len(found)-1]), dir: dir}
	if err := p.init(); err != nil {
		p.End()
		return nil, err
	}
	p.URL = fmt.Sprintf("postgres://dray@127.0.0.1:%d/postgres?sslmode=disable", p.port)
	return p, nil
}

func (p *PostgresServer) init() error {
	if err := p.runAs(); err != nil {
		return err
	}
	if err := p.run("initdb", "-D", p.dir+"/data", "-U", "dray", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	return p.Start()
}

// runAs: PostgreSQL does not run as root.
func (p *PostgresServer) runAs() error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return fmt.Errorf("%w: it does not run as root, and there is no user postgres or nobody", ErrNoPostgres)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(p.dir, uid, gid)
}

func (p *PostgresServer) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	said, err := os.CreateTemp("", "dray-pg-said-") // a pipe would stay open in the server that pg_ctl starts
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		log, _ := os.ReadFile(p.dir + "/log")
		return fmt.Errorf("%s %s: %w\n%s\n%s", name, strings.Join(args, " "), err, text, log[max(0, len(log)-4000):])
	}
	return nil
}

// Start starts the server after Stop.
func (p *PostgresServer) Start() error {
	return p.run("pg_ctl", "-D", p.dir+"/data", "-l", p.dir+"/log", "-w", "-t", "60",
		"-o", fmt.Sprintf("-h 127.0.0.1 -p %d -k %s -c max_connections=200", p.port, p.dir), "start")
}

// Stop stops it: "fast" ends its connections, "immediate" is a crash.
func (p *PostgresServer) Stop(mode string) error {
	if _, err := os.Stat(p.dir + "/data/postmaster.pid"); err != nil {
		return nil
	}
	return p.run("pg_ctl", "-D", p.dir+"/data", "-w", "-t", "60", "-m", mode, "stop")
}

// End stops the server and removes all of it.
func (p *PostgresServer) End() {
	if err := p.Stop("immediate"); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
	}
}

// Database makes another, empty database in the cluster and returns its address.
func (p *PostgresServer) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("d%d", time.Now().UnixNano())
	c, err := pgx.Connect(tb.Context(), p.URL)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(tb.Context(), "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("postgres://dray@127.0.0.1:%d/%s?sslmode=disable", p.port, name)
}
