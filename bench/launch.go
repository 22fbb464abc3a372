package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// order says what the launcher starts: first some commands one after another, then more commands, and how many of
// these in parallel.
type order struct {
	First    [][]string
	Cmds     [][]string
	Parallel int // 0 runs them one after another
	Env      []string
	Dir      string
	Limit    time.Duration
}

// outcome holds the cost of an order. RSS is the largest of all processes, in bytes.
type outcome struct {
	Wall, CPU time.Duration
	RSS       int64
	Failed    string // the last line that the first failed command printed
	Over      bool   // ended at the time limit
}

// launcher is a small process that starts the tools. A process inherits the peak memory of the
// process that forked it. The process with the registries is large, so it cannot start the tools
// itself.
type launcher struct {
	mu   sync.Mutex
	cmd  *exec.Cmd
	in   *json.Encoder
	out  *json.Decoder
	pipe io.Closer
}

func startLauncher() (*launcher, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, launchWord)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	return &launcher{cmd: cmd, in: json.NewEncoder(in), out: json.NewDecoder(out), pipe: in}, cmd.Start()
}

func (l *launcher) run(o order) (r outcome, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.in.Encode(o); err != nil {
		return r, err
	}
	err = l.out.Decode(&r)
	return r, err
}

func (l *launcher) close() {
	l.pipe.Close()
	_ = l.cmd.Wait()
}

// launchWord is the argument that makes this program the launcher.
const launchWord = "launch-for-bench"

// launch runs the orders from in until in ends.
func launch(in io.Reader, out io.Writer) int {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return 0
		} else if err != nil {
			return 1
		}
		if err := answers.Encode(obey(o)); err != nil {
			return 1
		}
	}
}

func obey(o order) (r outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), o.Limit)
	defer cancel()
	floor := highWater("self")
	begun := time.Now()
	o.all(ctx, o.First, 1, floor, &r)
	if r.Failed == "" {
		o.all(ctx, o.Cmds, max(o.Parallel, 1), floor, &r)
	}
	r.Wall = time.Since(begun)
	r.Over = ctx.Err() != nil
	return r
}

// all runs commands, so many in parallel, and adds what they cost to r.
func (o order) all(ctx context.Context, cmds [][]string, parallel int, floor int64, r *outcome) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, argv := range cmds {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
			var said bytes.Buffer
			cmd.Stderr, cmd.Env, cmd.Dir, cmd.WaitDelay = &said, o.Env, o.Dir, time.Second
			rss, err := supervise(cmd, floor)
			mu.Lock()
			defer mu.Unlock()
			if p := cmd.ProcessState; p != nil {
				r.CPU += p.UserTime() + p.SystemTime()
				r.RSS = max(r.RSS, rss)
			}
			if err != nil && r.Failed == "" {
				r.Failed = lastLine(said.String(), err)
			}
		})
		if ctx.Err() != nil {
			break
		}
	}
	wg.Wait()
}

// supervise runs cmd and returns its peak memory. The value from the operating system is never
// smaller than the launcher's own peak. For smaller processes, supervise polls the peak while the
// process runs.
func supervise(cmd *exec.Cmd, floor int64) (rss int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	seen := make(chan int64)
	ended := make(chan struct{})
	go func() {
		var most int64
		for {
			select {
			case <-ended:
				seen <- most
				return
			case <-time.After(5 * time.Millisecond):
				most = max(most, highWater(strconv.Itoa(cmd.Process.Pid)))
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	watched := <-seen
	if told := peak(cmd.ProcessState); told > floor+1<<20 || watched == 0 {
		return told, err
	}
	return watched, err
}

// highWater returns the peak memory of a running process in bytes, or 0 if the system has no /proc.
func highWater(pid string) int64 {
	raw, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

func lastLine(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}
