package ends

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/ref"
)

const (
	bundleDir  = "dray/"   // where a bundle has its lists
	bundleList = "volume-" // begins the name of a list
)

const isBundle = "it is a bundle, whose list says what is in it"

// Bundled returns an error if a layout that is to be written is the directory of a bundle: its list would become wrong.
func Bundled(end ref.Repo) error {
	entries, _ := os.ReadDir(filepath.Join(end.Dir, bundleDir)) // what cannot be read is no bundle
	for _, e := range entries {
		if end.Host == ref.Layout && strings.HasPrefix(e.Name(), bundleList) && e.Type().IsRegular() {
			return fault.Misuse("open layout", end.In("").String(), isBundle, again("directory"))
		}
	}
	return nil
}

// again returns what to do instead of writing to a bundle, which is a file or a directory.
func again(kind string) string {
	return "name another " + kind + "; to make a bundle again, see " + shell.Dray("bundle", "create", "--help")
}
