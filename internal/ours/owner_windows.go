package ours

import (
	"io/fs"
	"path/filepath"
	"strings"
)

func userID() string { return "%USERNAME%" }

// parts returns the names in an absolute path.
func parts(path string) []string {
	return strings.FieldsFunc(path[len(filepath.VolumeName(path)):], func(r rune) bool { return r == '\\' || r == '/' })
}

func foreignOwner(fs.FileInfo) (uid uint32, foreign bool) { return 0, false }

func writers(fs.FileInfo, sharing) string { return "" }

func isGroupOurs(fs.FileInfo) bool { return false }

func squashed(string, fs.FileInfo) bool { return false }

func hasOtherNames(fs.FileInfo) bool { return false }
