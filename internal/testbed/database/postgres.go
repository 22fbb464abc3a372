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

// PostgresServer is a PostgreSQL server started for tests, on a free port of the loopback address.
type PostgresServer struct {
	URL string // address of its first database

	bin, dir string
	port     int
	as       *syscall.Credential // user that runs the server; nil means the current user
}

// ErrNoPostgres says that PostgreSQL is not installed, or that this user cannot start it.
var ErrNoPostgres = errors.New("no PostgreSQL here (apt-get install postgresql)")

// Postgres starts PostgreSQL in a temporary directory and returns the address of a database.
// Without PostgreSQL on this machine the test is skipped.
func Postgres(tb testing.TB) string {
	tb.Helper()
	return NewPostgres(tb).URL
}

// NewPostgres is Postgres for tests that stop and start the server.
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

// StartPostgres is NewPostgres for a server that many tests share. Call End in TestMain.
func StartPostgres() (*PostgresServer, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the newest version is sorted last, except for 9.x
	if path, err := exec.LookPath("initdb"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		return nil, ErrNoPostgres
	}
	// Not TempDir: the path of a Unix socket may have only about 100 bytes, and another user must
	// be able to reach it.
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
	err := p.run("initdb", "-D", p.dir+"/data", "-U", "dray", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if err != nil {
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

// runAs chooses another user if this process runs as root, since PostgreSQL refuses to run as root.
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

// Start starts the server again after Stop.
func (p *PostgresServer) Start() error {
	return p.run("pg_ctl", "-D", p.dir+"/data", "-l", p.dir+"/log", "-w", "-t", "60",
		"-o", fmt.Sprintf("-h 127.0.0.1 -p %d -k %s -c max_connections=200", p.port, p.dir), "start")
}

// Stop stops the server. Mode "fast" ends its connections, mode "immediate" acts as a crash.
func (p *PostgresServer) Stop(mode string) error {
	if _, err := os.Stat(p.dir + "/data/postmaster.pid"); err != nil {
		return nil
	}
	return p.run("pg_ctl", "-D", p.dir+"/data", "-w", "-t", "60", "-m", mode, "stop")
}

// End stops the server and removes its directory.
func (p *PostgresServer) End() {
	if err := p.Stop("immediate"); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
	}
}

// Database creates an empty database and returns its address.
func (p *PostgresServer) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("d%d", time.Now().UnixNano())
	c, err := pgx.Connect(tb.Context(), p.URL)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	if _, err := c.Exec(tb.Context(), "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("postgres://dray@127.0.0.1:%d/%s?sslmode=disable", p.port, name)
}
