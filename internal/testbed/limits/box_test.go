//go:build linux

package limits

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// full reports whether the tests have their full sizes, as in make limits.
func full() bool { return os.Getenv("DRAY_LIMITS") != "" }

// size returns n in make limits, else light.
func size[T any](n, light T) T {
	if full() {
		return n
	}
	return light
}

// built is the directory of dray and drayd. make limits names one in $DRAY_BIN; else they are built once.
var built = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("DRAY_BIN"); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "dray-limits-")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "./cmd/dray", "./cmd/drayd")
	cmd.Dir, cmd.Env = "../../..", append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil && os.Getenv("DRAY_BIN") == "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// box says what a process has. The zero value limits nothing.
type box struct {
	memory int64 // bytes of a control group
	files  int   // descriptors
	cpu    int   // percent of one processor
	env    []string
	dir    string // where it runs; "" is a directory of its own
}

// process is a program in a box.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err said
	groups   []string
	began    time.Time
	took     time.Duration
	peak     atomic.Int64 // the largest resident memory, in KiB
	open     atomic.Int64 // the most descriptors that were open when somebody looked
	ended    chan struct{}
}

// said is what a process writes. It may be read while the process runs.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan struct{} // closed when the first line is there
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !bytes.Contains(s.text.Bytes(), []byte("\n"))
	s.text.Write(p)
	if first && bytes.Contains(p, []byte("\n")) {
		close(s.line)
	}
	return len(p), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// home is an environment without the settings of who runs the test.
func home(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "DRAY_STATE_DIR=" + filepath.Join(dir, "state")}
}

// start starts dray or drayd.
func start(t *testing.T, b box, name string, args ...string) *process {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, ended: make(chan struct{})}
	p.out.line, p.err.line = make(chan struct{}), make(chan struct{})
	script := ""
	if b.memory > 0 {
		p.group("memory", &script, "memory.limit_in_bytes", "memory.max", strconv.FormatInt(b.memory, 10))
	}
	if b.cpu > 0 {
		p.slow(&script, b.cpu)
	}
	if b.files > 0 {
		script += fmt.Sprintf("ulimit -n %d; ", b.files)
	}
	p.cmd = exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-ec", script + `exec "$0" "$@"`, filepath.Join(bin, name)}, args...)...)
	p.cmd.Dir = b.dir
	if b.dir == "" {
		p.cmd.Dir = t.TempDir()
	}
	p.cmd.Env = append(home(p.cmd.Dir), b.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.watch()
	t.Cleanup(p.kill)
	return p
}

// group makes a control group and adds to script the line that enters it. It skips the test where that is not allowed.
func (p *process) group(controller string, script *string, v1, v2, value string) {
	p.t.Helper()
	root, file := filepath.Join("/sys/fs/cgroup", controller), v1
	if _, err := os.Stat(root); err != nil {
		root, file = "/sys/fs/cgroup", v2
	}
	dir, err := os.MkdirTemp(root, "dray-limits-")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, file), []byte(value), 0o600)
		p.groups = append(p.groups, dir)
	}
	if err != nil {
		p.leave()
		p.t.Skipf("SKIPPED: this user may not make a control group: %v", err)
	}
	if file == v2 && controller == "memory" {
		_ = os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0o600) // there may be no swap
	}
	*script += fmt.Sprintf("echo $$ > %s/cgroup.procs; ", dir)
}

// slow gives the process a part of one processor.
func (p *process) slow(script *string, percent int) {
	p.t.Helper()
	const period = 100_000
	if _, err := os.Stat("/sys/fs/cgroup/cpu"); err == nil {
		p.group("cpu", script, "cpu.cfs_quota_us", "", strconv.Itoa(period*percent/100))
		return
	}
	p.group("cpu", script, "", "cpu.max", fmt.Sprintf("%d %d", period*percent/100, period))
}

// leave removes the control groups.
func (p *process) leave() {
	for _, dir := range p.groups {
		for range 100 { // the kernel takes a moment to forget a process
			if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// watch looks every 20 ms at what the process has.
func (p *process) watch() {
	proc := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if text, err := os.ReadFile(proc + "status"); err == nil {
			var kib int64
			if _, rest, found := bytes.Cut(text, []byte("VmHWM:")); found {
				fmt.Sscan(string(rest), &kib)
			}
			p.peak.Store(max(kib, p.peak.Load()))
		}
		if all, err := os.ReadDir(proc + "fd"); err == nil {
			p.open.Store(max(int64(len(all)), p.open.Load()))
		}
		select {
		case <-p.ended:
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// oom returns how often the kernel killed a process of the control group.
func (p *process) oom() (n int) {
	for _, dir := range p.groups {
		for _, name := range []string{"memory.oom_control", "memory.events"} {
			text, _ := os.ReadFile(filepath.Join(dir, name))
			if _, rest, found := strings.Cut(string(text), "oom_kill "); found {
				fmt.Sscan(rest, &n)
			}
		}
	}
	return n
}

// wait waits for the end and returns the exit code; -1 means a signal.
func (p *process) wait() int {
	p.t.Helper()
	_ = p.cmd.Wait() // the code says it
	p.took = time.Since(p.began)
	close(p.ended)
	if n := p.oom(); n > 0 {
		p.t.Errorf("the kernel killed it for its memory: %.300s", p.err.String())
	}
	p.leave()
	return p.cmd.ProcessState.ExitCode()
}

// serve starts a server in a box and returns it with its address. The registries are those that its jobs may reach.
func serve(t *testing.T, b box, registries map[string]string, args ...string) (p *process, addr string) {
	t.Helper()
	if b.dir == "" {
		b.dir = t.TempDir()
	}
	config := "registries:\n"
	for name, host := range registries {
		config += fmt.Sprintf("  %s: {host: %q, plain-http: true}\n", name, host)
	}
	if registries == nil {
		config = ""
	}
	at := filepath.Join(b.dir, "config.yaml")
	if err := os.WriteFile(at, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, b, "drayd", append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(b.dir, "data"), "--config", at}, args...)...)
	select {
	case <-p.out.line:
	case <-time.After(2 * time.Minute):
		t.Fatalf("the server is not ready: %.2000s", p.err.String())
	}
	addr, _, _ = strings.Cut(p.out.String(), "\n")
	return p, addr
}

// alive ends the test if a server does not answer.
func (p *process) alive(addr string) {
	p.t.Helper()
	resp, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		p.t.Fatalf("%v: %.2000s", err, p.err.String())
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s", resp.Status, text)
	}
}

// stop ends a server as systemd does.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		p.t.Errorf("the server ends with %d: %.2000s", code, p.err.String())
	}
}

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		p.wait()
	}
}

// figures adds what was measured to the table.
func (p *process) figures(what string) {
	p.t.Helper()
	figure(p.t, fmt.Sprintf("%s: %d MiB, %d descriptors, %.1f s", what, p.peak.Load()>>10, p.open.Load(), time.Since(p.began).Seconds()))
}

// figure adds a figure to the table that make limits prints.
func figure(t *testing.T, text string) {
	t.Helper()
	t.Attr("figure", strings.ReplaceAll(text, "\n", " / "))
	t.Log(text)
}

// dray runs dray to its end, and ends the test if the exit code is another one.
func dray(t *testing.T, b box, code int, args ...string) *process {
	t.Helper()
	p := start(t, b, "dray", args...)
	if got := p.wait(); got != code {
		t.Fatalf("dray %.200q ends with %d, want %d\n%.3000s\n%.3000s", args, got, code, p.out.String(), p.err.String())
	}
	return p
}
