package ours

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// sharingOf returns group for a directory that somebody has given to a group of the process on purpose: the bit setgid
// hands the group on to what is made in it. Kubernetes does so with volumes that have an fsGroup, and lets the group
// write all files in them.
func sharingOf(dir fs.FileInfo) sharing {
	if dir.Mode()&fs.ModeSetgid != 0 && isGroupOurs(dir) {
		return group
	}
	return alone
}

// IsVolume reports whether a group of the process shares the directory at path on purpose, as a volume of Kubernetes.
func IsVolume(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && sharingOf(info) == group && checkDir(path, info, group) == nil
}

// Foreign reports whether neither the user of the process nor root owns a file, and who does.
func Foreign(info fs.FileInfo) (uid uint32, foreign bool) { return foreignOwner(info) }

// maxLinks is how many symbolic links a path may have, as on Linux.
const maxLinks = 40

// Make creates the directory of a server at path if it is missing, with its parents, and returns an error if somebody
// else owns it or may write it; a group of the process may. That error is [fault.Denied], with the command that mends
// it as its hint; others come from the disk.
func Make(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return Check(path)
}

// Check returns the error that Make would return for a directory that is there, and [fs.ErrNotExist] if none is.
func Check(path string) error {
	whole, err := Resolve(path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(whole)
	if err != nil {
		return err
	}
	return checkDir(whole, info, group)
}

// refused is the error for what is not ours at path.
func refused(path, cause, mend string) error {
	hint := ""
	if mend != "" {
		hint = "if its content can be trusted, mend it: " + mend
	}
	return &fault.Fault{Kind: fault.Denied, Op: "use", Name: path, Hint: hint, Err: errors.New(cause)}
}

func checkDir(path string, info fs.FileInfo, s sharing) error {
	if !info.IsDir() {
		return refused(path, "it is no directory", "")
	}
	if uid, foreign := foreignOwner(info); foreign && (s != group || !squashed(path, info)) {
		return refused(path, fmt.Sprintf("it belongs to the user %d, who may change what is in it", uid),
			shell.Line("chown", "-R", userID(), path)+"; or run dray as that user")
	}
	if others := writers(info, s); others != "" {
		return refused(path, others+" may write it", shell.Line("chmod", "go-w", path)+"; or use a directory below it")
	}
	return nil
}

func checkFile(path string, info fs.FileInfo, s sharing) error {
	if !info.Mode().IsRegular() {
		return refused(path, "it is not a regular file", "")
	}
	if uid, foreign := foreignOwner(info); foreign {
		return refused(path, fmt.Sprintf("it belongs to the user %d", uid), shell.Line("chown", userID(), path))
	}
	if others := writers(info, s); others != "" {
		return refused(path, others+" may write it", shell.Line("chmod", "go-w", path))
	}
	return nil
}

// checkNames refuses a file that would change under another name, too.
func checkNames(path string, info fs.FileInfo) error {
	if hasOtherNames(info) {
		return refused(path, "it has a second name, a hard link, by which it could be changed", shell.Line("rm", path))
	}
	return nil
}

// Resolve returns path without symbolic links, as [filepath.EvalSymlinks] does. A link that neither the user nor root
// made is [fault.Denied].
func Resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	links := 0
	root := filepath.VolumeName(path) + string(filepath.Separator)
	rest, at := parts(path), root
	for len(rest) > 0 {
		next := filepath.Join(at, rest[0])
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		rest = rest[1:]
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if uid, foreign := foreignOwner(info); foreign {
			return "", refused(next, fmt.Sprintf("the user %d made this symbolic link", uid), shell.Line("rm", next))
		}
		to, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return "", errors.Join(err, fs.ErrInvalid)
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(at, to)
		}
		rest, at = append(parts(to), rest...), root
	}
	return at, nil
}
