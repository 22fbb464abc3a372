package calls

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// Process is a running program.
type Process struct {
	Pid int

	command Command
	n       int
	ends    map[int]Act // of threads that are within a call
	done    chan struct{}
	status  syscall.WaitStatus
	err     error
}

// Start starts a program. It ends with the test at the latest.
func Start(tb testing.TB, c Command) *Process {
	tb.Helper()
	p := &Process{command: c, ends: map[int]Act{}, done: make(chan struct{})}
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the kernel lets only the thread that started the program trace it
		// A thread that is locked ends with its goroutine, and with it the programs of other tests that it started
		// (Pdeathsig).
		defer runtime.UnlockOSThread()
		defer close(p.done)
		p.err = p.start()
		close(started)
		if p.err == nil {
			p.err = p.trace()
		}
	}()
	<-started
	tb.Cleanup(func() { p.Kill() })
	if p.Pid == 0 {
		<-p.done
		if errors.Is(p.err, syscall.EPERM) {
			tb.Skip("SKIPPED: this user may not trace a program")
		}
		tb.Fatal(p.err)
	}
	return p
}

// Wait returns the exit code of the program, or killed if it was killed.
func (p *Process) Wait(tb testing.TB) (code int, killed bool) {
	tb.Helper()
	<-p.done
	if p.err != nil {
		tb.Fatal(p.err)
	}
	return p.status.ExitStatus(), p.status.Signaled()
}

// Kill kills the program and returns when it has ended.
func (p *Process) Kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(p.Pid, syscall.SIGKILL) // it may have ended
	<-p.done
}

func (p *Process) start() error {
	c := p.command
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []*os.File{null, null, null}
	if c.Stdout != nil {
		files[1] = c.Stdout
	}
	if c.Stderr != nil {
		files[2] = c.Stderr
	}
	proc, err := os.StartProcess(c.Args[0], c.Args, &os.ProcAttr{Env: c.Env, Dir: c.Dir, Files: files,
		Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true}})
	if err != nil {
		return err
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(proc.Pid, &ws, syscall.WALL, nil); err != nil {
		return err
	}
	const sysGood, exitKill = 1, 1 << 20
	err = errors.Join(
		syscall.PtraceSetOptions(proc.Pid, sysGood|exitKill|syscall.PTRACE_O_TRACECLONE|syscall.PTRACE_O_TRACEEXEC),
		syscall.PtraceSyscall(proc.Pid, 0))
	if err == nil {
		p.Pid = proc.Pid
	}
	return errors.Join(err, proc.Release()) // trace waits for it
}

// trace lets the program run from stop to stop until all its threads have ended.
func (p *Process) trace() error {
	for {
		var ws syscall.WaitStatus
		tid, err := syscall.Wait4(-p.Pid, &ws, syscall.WALL, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for the program: %w", err)
		case tid == p.Pid && (ws.Exited() || ws.Signaled()):
			p.status = ws
			return nil
		case !ws.Stopped():
			continue
		}
		pass := 0
		switch sig := ws.StopSignal(); {
		case sig == syscall.SIGTRAP|0x80:
			p.stopped(tid)
		case sig != syscall.SIGTRAP && sig != syscall.SIGSTOP: // those two announce threads
			pass = int(sig)
		}
		_ = syscall.PtraceSyscall(tid, pass) // the thread may have been killed
	}
}

// stopped is called when a thread enters or leaves a system call.
func (p *Process) stopped(tid int) {
	var i info
	const getSyscallInfo = 0x420e
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(tid),
		unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0) // the kernel fills i
	if errno != 0 {
		return
	}
	switch i.op {
	case atEntry:
		call, ok := decode(p.Pid, i)
		if !ok || !p.isBelow(call.Path) {
			return
		}
		p.n++
		call.N = p.n
		p.begin(tid, call, p.command.On(call))
	case atExit:
		act, ok := p.ends[tid]
		delete(p.ends, tid)
		if !ok {
			return
		}
		if act.Fail != 0 {
			p.change(tid, func(r *syscall.PtraceRegs) { r.Rax = uint64(-int64(act.Fail)) })
			return
		}
		p.end()
	}
}

// begin carries out what is done before a call.
func (p *Process) begin(tid int, call Call, act Act) {
	switch {
	case act.Kill == Before:
		p.end()
	case act.Fail != 0:
		p.change(tid, func(r *syscall.PtraceRegs) { r.Orig_rax = ^uint64(0) }) // no call has this number
		p.ends[tid] = act
	case act.Kill == Within && call.Name == "write":
		p.change(tid, func(r *syscall.PtraceRegs) {
			if r.Orig_rax == syscall.SYS_WRITE || r.Orig_rax == syscall.SYS_PWRITE64 {
				r.Rdx /= 2
			}
		})
		p.ends[tid] = act
	case act.Kill != Never:
		p.ends[tid] = act
	}
}

func (p *Process) end() { _ = syscall.Kill(p.Pid, syscall.SIGKILL) }

func (p *Process) change(tid int, f func(*syscall.PtraceRegs)) {
	var r syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &r) == nil {
		f(&r)
		_ = syscall.PtraceSetRegs(tid, &r) // the thread may have been killed
	}
}

func (p *Process) isBelow(path string) bool {
	for _, dir := range p.command.Below {
		if path == dir || strings.HasPrefix(path, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}
