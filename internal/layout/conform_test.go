package layout_test

import (
	"testing"

	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/ref"
)

var (
	_ transfer.Source = (*layout.Dir)(nil)
	_ transfer.Target = (*layout.Dir)(nil)
)

func TestDirConforms(t *testing.T) {
	conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
		t.Helper()
		d := open(t, t.TempDir(), layout.Write)
		return conform.Pair{Source: d, Target: d, List: d.List}
	}})
}

// What one Dir writes, another Dir that was opened earlier can read.
func TestTwoDirsOnOneDirectoryConform(t *testing.T) {
	conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
		t.Helper()
		path := t.TempDir()
		target := open(t, path, layout.Write)
		source := open(t, path, layout.Write)
		return conform.Pair{Source: source, Target: target, List: source.List}
	}})
}

// Another repository with the same tags does not show.
func TestARepositoryOfALayoutConforms(t *testing.T) {
	conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
		t.Helper()
		path := t.TempDir()
		target := in(t, path, "docker.io/library/nginx", layout.Write)
		source := in(t, path, "docker.io/library/nginx", layout.Read)
		return conform.Pair{Source: source, Target: target, List: source.List}
	}})
}

// at returns the repository of the layout in dir whose names are tags.
func at(dir string) ref.Repo { return ref.Repo{Host: ref.Layout, Dir: dir} }

func open(t *testing.T, path string, mode layout.Mode) *layout.Dir {
	t.Helper()
	d, err := layout.Open(at(path), mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
