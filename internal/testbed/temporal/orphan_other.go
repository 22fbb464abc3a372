//go:build !linux

package temporal

import "os/exec"

func orphanless(*exec.Cmd) {}
