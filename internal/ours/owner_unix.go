//go:build unix

package ours

import (
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func userID() string { return strconv.Itoa(os.Geteuid()) }

// parts returns the names in an absolute path.
func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// foreignOwner reports whether neither the user of the process nor root owns a file, and who does.
func foreignOwner(info fs.FileInfo) (uid uint32, foreign bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, st.Uid != 0 && int64(st.Uid) != int64(os.Geteuid())
}

// writers says who else may write a file; "" means nobody.
func writers(info fs.FileInfo, s sharing) string {
	perm := info.Mode().Perm()
	switch {
	case perm&0o002 != 0:
		return "everybody"
	case perm&0o020 != 0 && !isGroupTrusted(info) && (s != group || !isGroupOurs(info)):
		return "its group"
	}
	return ""
}

// isGroupTrusted reports whether the group of a file has nobody but its owner or root in it: a group of the user's own,
// which Linux distributions number as the user, or that of root. Images for OpenShift give directories to the latter.
func isGroupTrusted(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Gid == 0 || st.Gid == st.Uid && int64(st.Uid) == int64(os.Geteuid()))
}

func isGroupOurs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	groups, _ := os.Getgroups() // without them, the group of the process still counts
	return int64(st.Gid) == int64(os.Getegid()) || slices.Contains(groups, int(st.Gid))
}

// squashed reports whether all files in a directory get its owner, as on NFS with all_squash: the process is this user
// there.
func squashed(path string, info fs.FileInfo) bool {
	f, err := os.CreateTemp(path, ".owner-*")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	made, err := f.Stat()
	if err != nil {
		return false
	}
	its, _ := foreignOwner(info)
	ours, _ := foreignOwner(made)
	return its == ours
}

func hasOtherNames(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 1
}
