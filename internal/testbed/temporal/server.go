package temporal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Server is a development server of Temporal on a free port of the loopback address. Its state is in a
// file, so that it outlives Stop and Kill.
type Server struct {
	Address string // HOST:PORT

	program, dir string
	cmd          *exec.Cmd
	gone         chan struct{}
}

// ErrNoTemporal says that Temporal's command line is not installed.
var ErrNoTemporal = errors.New("no temporal here (make temporal builds it)")

// settings are dynamic settings of the server. Fairness keys take effect, within one partition of a queue. A
// new namespace can be used at once.
var settings = []string{"matching.enableFairness=true", "matching.numTaskqueueReadPartitions=1",
	"matching.numTaskqueueWritePartitions=1", `system.namespaceCacheRefreshInterval="100ms"`}

func start(dir string) (*Server, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Address: l.Addr().String(), program: program, dir: dir}
	if err := l.Close(); err != nil {
		return nil, err
	}
	return s, s.Start()
}

// find looks for the program in .tools of this repository, where `make temporal` puts it, and in PATH.
func find() (string, error) {
	dir, err := os.Getwd() // the directory of the package under test
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, ".tools", "temporal")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	path, err := exec.LookPath("temporal")
	if err != nil {
		return "", ErrNoTemporal
	}
	return path, nil
}

// Start starts the server again after Stop or Kill, on the same port, and waits until it answers.
func (s *Server) Start() error {
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	args := []string{"server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port, "--log-level", "error",
		"--disable-config-file", "--disable-config-env",
		// The file need not outlive a crash of the machine.
		"--db-filename", filepath.Join(s.dir, "temporal.db"), "--sqlite-pragma", "synchronous=off"}
	for _, v := range settings {
		args = append(args, "--dynamic-config-value", v)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.program, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.cmd.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	orphanless(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	s.gone = gone
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(gone)
	}(s.cmd)
	return s.up(gone)
}

// up waits until the server answers.
func (s *Server) up(gone <-chan struct{}) error {
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	c, err := client.NewLazyClient(client.Options{HostPort: s.Address, Logger: quiet{}})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		try, tried := context.WithTimeout(ctx, 2*time.Second)
		_, err := c.WorkflowService().DescribeNamespace(try,
			&workflowservice.DescribeNamespaceRequest{Namespace: "default"})
		tried()
		if err == nil {
			return nil
		}
		select {
		case <-gone:
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
			continue
		}
		text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("temporal does not start: %w\n%s", err, text[max(0, len(text)-4000):])
	}
}

// Stop asks the server to end, and waits for it.
func (s *Server) Stop() error { return s.end(os.Interrupt) }

// Kill ends the server as a crash does.
func (s *Server) Kill() error { return s.end(os.Kill) }

// Pid returns the id of the server's process, for a test that suspends it.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

func (s *Server) end(how os.Signal) error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.gone:
		return nil
	case <-time.After(20 * time.Second):
		return errors.New("temporal does not end, pid " + strconv.Itoa(s.cmd.Process.Pid))
	}
}

func (s *Server) register(ctx context.Context, name string) error {
	c, err := client.NewLazyClient(client.Options{HostPort: s.Address, Logger: quiet{}})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	for err == nil && ctx.Err() == nil { // the server reads its list of namespaces again every few seconds
		if _, err := c.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: name, TaskQueue: &taskqueue.TaskQueue{Name: "dray"},
		}); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.Join(err, ctx.Err())
}

// quiet is a logger that drops everything.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
