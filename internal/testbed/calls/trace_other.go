//go:build !linux || !amd64

package calls

import "testing"

// Process is not used: Start skips the test.
type Process struct{ Pid int }

// Start skips the test: only Linux on amd64 has the debugger.
func Start(tb testing.TB, _ Command) *Process {
	tb.Helper()
	tb.Skip("SKIPPED: no program is traced on this system")
	return nil
}

// Wait is not called, because Start skips the test.
func (p *Process) Wait(testing.TB) (code int, killed bool) { return 0, false }

// Kill is not called, because Start skips the test.
func (p *Process) Kill() {}
