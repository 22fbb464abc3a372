package calls

import (
	"fmt"
	"os"
	"syscall"
)

// Call is one system call that changes a file, a directory, or what is durable of them.
type Call struct {
	N    int    // counts the calls of a program from 1
	Name string // as the kernel calls it, without "at" at its end: write, fsync, rename
	Path string // the file; for a rename or link the new name
}

// String returns the number, the name and the file of a call.
func (c Call) String() string { return fmt.Sprintf("call %d, %s %s", c.N, c.Name, c.Path) }

// Moment says when a program is killed. The zero Moment is Never.
type Moment string

// Within lets half of the bytes of a write arrive, and is the same as After for other calls.
const (
	Never  Moment = ""
	Before Moment = "before"
	Within Moment = "within"
	After  Moment = "after"
)

// Act says what becomes of a call. The zero Act lets it happen.
type Act struct {
	Kill Moment
	Fail syscall.Errno // the call fails with it, and does nothing; 0 is no error
}

// Command is a program and what it gets.
type Command struct {
	Args   []string // the first is its path
	Env    []string // nil means that of the test
	Dir    string   // "" means that of the test
	Stdout *os.File // nil discards
	Stderr *os.File

	// Below are the directories whose calls are shown to On. They have no symbolic links.
	Below []string
	// On decides about each call. It is called by one goroutine.
	On func(Call) Act
}
