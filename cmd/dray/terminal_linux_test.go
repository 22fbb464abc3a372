package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// window is a terminal in which a shell runs dray once, and then reports how dray and the terminal are left.
type window struct {
	t     *testing.T
	keys  *os.File // what is written here is typed, and what is printed is read here
	shell *exec.Cmd
	shown strings.Builder
}

// open runs dray with args in a new terminal. The shell ignores the keys that interrupt dray. It leads the
// session: when the leader ends, the system resets the terminal, and nothing could be seen.
func open(t *testing.T, args ...string) *window {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { keys.Close() })
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() }) // what was printed can be read only while somebody has it open
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "dray"))
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &window{t: t, keys: keys}
	const script = `trap : INT HUP; "$0" "$@"; echo "ended with $?"; stty -a; echo over`
	w.shell = exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", script, filepath.Join(dir, "dray")}, args...)...)
	w.shell.Dir, w.shell.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=dumb"}
	w.shell.Stdin, w.shell.Stdout, w.shell.Stderr = screen, screen, screen
	w.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := w.shell.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

// until reads what is printed until it contains text, and returns all of it so far.
func (w *window) until(text string) string {
	w.t.Helper()
	w.keys.SetReadDeadline(time.Now().Add(time.Minute))
	for b := make([]byte, 1024); !strings.Contains(w.shown.String(), text); {
		n, err := w.keys.Read(b)
		w.shown.Write(b[:n])
		if err != nil {
			w.t.Fatalf("%v (%v): no %q in\n%s", err, w.shell.Wait(), text, w.shown.String())
		}
	}
	return w.shown.String()
}

func (w *window) press(keys string) {
	w.t.Helper()
	if _, err := w.keys.WriteString(keys); err != nil {
		w.t.Fatal(err)
	}
}

// signal sends a signal to dray alone.
func (w *window) signal(sig syscall.Signal) {
	w.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", w.shell.Process.Pid))
	pid := 0
	if err == nil {
		_, err = fmt.Sscan(string(raw), &pid)
	}
	if err == nil {
		err = syscall.Kill(pid, sig)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// left checks that dray has ended with the code, after printing said, and that the terminal has its echo.
func (w *window) left(code int, said string) {
	w.t.Helper()
	text := strings.ReplaceAll(w.until("over\r\n"), "\r\n", "\n")
	if !strings.Contains(text, fmt.Sprintf("%sended with %d\n", said, code)) {
		w.t.Errorf("not %q with code %d, but\n%s", said, code, text)
	}
	if strings.Contains(text, "-echo ") || !strings.Contains(text, " icanon") {
		w.t.Errorf("the terminal is left without echo:\n%s", text)
	}
	if err := w.shell.Wait(); err != nil {
		w.t.Error(err)
	}
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

const interrupted = "dray: interrupted: nothing was written\n"

func TestAnInterruptAtAPromptLeavesTheTerminalWithItsEcho(t *testing.T) {
	tries := 100
	if testing.Short() {
		tries = 10
	}
	for i := range tries {
		w := open(t, "login", "registry.example", "-u", "me")
		w.until("Password for me:")
		for began := time.Now(); time.Since(began) < time.Duration(i)*time.Microsecond; {
			continue // the key is pressed at another moment of each try
		}
		w.press(ctrlC)
		w.left(130, interrupted)
	}
}

func TestASecondInterruptLeavesTheTerminalWithItsEcho(t *testing.T) {
	for range 10 {
		w := open(t, "login", "registry.example", "-u", "me")
		w.until("Password for me:")
		w.press(ctrlC + ctrlC + ctrlC)
		w.left(130, "")
	}
}

func TestSignalsEndAPromptAsAnInterruptDoes(t *testing.T) {
	for _, args := range [][]string{{"login", "registry.example", "-u", "me"}, {"login", "registry.example"},
		{"ls", "registry.example/app", "--src-creds", "me"}} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			w := open(t, args...)
			w.until(": ")
			w.signal(sig)
			w.left(130, interrupted)
		}
	}
}

func TestTheEndOfTheInputAtAPromptIsNoAnswer(t *testing.T) {
	for prompt, args := range map[string][]string{
		"Password for me: ": {"login", "registry.example", "-u", "me"},
		"User: ":            {"login", "registry.example"},
	} {
		w := open(t, args...)
		w.until(prompt)
		w.press(ctrlD)
		hint := "give -u USER"
		what := "user"
		if len(args) > 2 {
			what, hint = "password", "give --password-stdin or -p PASSWORD"
		}
		w.left(2, "dray: read "+what+": invalid: there was no input (hint: "+hint+")\n")
	}
}

func TestTheClosingOfTheTerminalEndsAPrompt(t *testing.T) {
	w := open(t, "login", "registry.example", "-u", "me")
	w.until("Password for me: ")
	w.keys.Close()
	w.shell.Wait() // the shell ends when dray has ended, or the time of the test is up
}
