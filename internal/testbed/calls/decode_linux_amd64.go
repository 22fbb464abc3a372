package calls

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// info is what the kernel says about a system call that begins or ends: struct ptrace_syscall_info.
type info struct {
	op     uint8
	_      [3]uint8
	_      uint32
	_, _   uint64
	number uint64 // at the end of a call, its result
	args   [6]uint64
}

const (
	atEntry = 1
	atExit  = 2
)

// Calls that package syscall does not name.
const (
	renameat2     = 316
	copyFileRange = 326
	pwritev       = 296
)

// onFile lists the calls that change an open file, with the argument that is its descriptor.
func onFile(number uint64) (name string, arg int, ok bool) {
	switch number {
	case syscall.SYS_WRITE, syscall.SYS_PWRITE64, syscall.SYS_WRITEV, pwritev:
		return "write", 0, true
	case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
		return "fsync", 0, true
	case syscall.SYS_FTRUNCATE:
		return "truncate", 0, true
	case syscall.SYS_FALLOCATE:
		return "fallocate", 0, true
	case syscall.SYS_FCHMOD:
		return "chmod", 0, true
	case syscall.SYS_SENDFILE:
		return "write", 0, true
	case syscall.SYS_SPLICE, copyFileRange:
		return "write", 2, true
	}
	return "", 0, false
}

// onName lists the calls that change a name, with the arguments that are its directory and the name.
func onName(i info) (name string, dir, path int, ok bool) {
	switch i.number {
	case syscall.SYS_OPENAT:
		const changes = syscall.O_CREAT | syscall.O_TRUNC
		return "create", 0, 1, i.args[2]&changes != 0
	case syscall.SYS_MKDIRAT:
		return "mkdir", 0, 1, true
	case syscall.SYS_UNLINKAT:
		return "unlink", 0, 1, true
	case syscall.SYS_RENAMEAT, renameat2:
		return "rename", 2, 3, true
	case syscall.SYS_LINKAT:
		return "link", 2, 3, true
	case syscall.SYS_SYMLINKAT:
		return "symlink", 1, 2, true
	case syscall.SYS_FCHMODAT:
		return "chmod", 0, 1, true
	}
	return "", 0, 0, false
}

// decode returns the call that begins, or false if it changes no file.
func decode(pid int, i info) (Call, bool) {
	if name, arg, ok := onFile(i.number); ok {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, int32(i.args[arg])))
		return Call{Name: name, Path: strings.TrimSuffix(at, " (deleted)")}, err == nil && filepath.IsAbs(at)
	}
	name, dir, path, ok := onName(i)
	if !ok {
		return Call{}, false
	}
	at, ok := text(pid, i.args[path])
	if !ok {
		return Call{}, false
	}
	if !filepath.IsAbs(at) {
		base := fmt.Sprintf("/proc/%d/cwd", pid)
		if fd := int32(i.args[dir]); fd >= 0 {
			base = fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
		}
		base, err := os.Readlink(base)
		if err != nil {
			return Call{}, false
		}
		at = filepath.Join(base, at)
	}
	return Call{Name: name, Path: at}, true
}

// text reads a string that ends with a zero byte in the memory of the program.
func text(pid int, at uint64) (string, bool) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return "", false
	}
	defer mem.Close()
	buf := make([]byte, 4096)
	n, _ := mem.ReadAt(buf, int64(at))
	s, _, ok := strings.Cut(string(buf[:n]), "\x00")
	return s, ok
}
