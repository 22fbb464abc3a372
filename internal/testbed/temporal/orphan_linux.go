package temporal

import (
	"os/exec"
	"syscall"
)

// orphanless makes the server end with the process that started it, also if that process is killed.
func orphanless(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
