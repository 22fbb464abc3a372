package name

import (
	"path/filepath"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// End is one end of a transfer: a registry, what is below a prefix of it, or one repository.
type End struct {
	Host   string
	Prefix string   // "" or "team/"
	Repo   ref.Repo // set for one repository
}

// End reads "HOST", "HOST/PREFIX/" and "HOST/REPO", "oci:DIR/" and "oci:DIR".
func (r *Reader) End(s string) (End, error) {
	if strings.HasPrefix(s, ref.Layout) {
		return r.layoutReach(s)
	}
	host, prefix, whole, err := r.Registry(s)
	if err != nil {
		return End{}, err
	}
	if whole {
		return End{Host: host, Prefix: prefix}, nil
	}
	n, err := r.Parse(s)
	switch {
	case err != nil:
		return End{}, err
	case n.Tag != "" || n.Digest != "":
		return End{}, fault.Misuse("transfer", n.String(), "this names one image", "leave the tag off, or use dray copy")
	}
	return End{Host: n.Host, Repo: n.Repo}, nil
}

// Single reports whether r is one repository.
func (r End) Single() bool { return r.Repo != ref.Repo{} }

// Covers reports whether repo is within r.
func (r End) Covers(repo ref.Repo) bool {
	if r.Single() {
		return repo == r.Repo
	}
	return repo.Host == r.Host && strings.HasPrefix(repo.Path, r.Prefix)
}

// Meets reports whether one of both is within the other.
func (r End) Meets(other End) bool {
	switch {
	case r.Single():
		return other.Covers(r.Repo)
	case other.Single():
		return r.Covers(other.Repo)
	}
	return r.Host == other.Host && (strings.HasPrefix(r.Prefix, other.Prefix) || strings.HasPrefix(other.Prefix, r.Prefix))
}

// Receives reports whether what a listing of from tells is rather what a transfer brought below the target's prefix.
func (r End) Receives(from End, path string) bool {
	return r.Host == from.Host && r.Prefix != "" && strings.HasPrefix(path, r.Prefix) && !strings.HasPrefix(from.Prefix, r.Prefix)
}

// Image layouts as ends of a transfer: "oci:DIR" is one repository, and "oci:DIR/" are the
// layouts in directories below DIR, each a repository by its path there, like "HOST/PREFIX/".

// layoutReach reads an end that begins with ref.Layout.
func (r *Reader) layoutReach(s string) (End, error) {
	n, err := r.Parse(s)
	switch {
	case err != nil:
		return End{}, err
	case n.Tag != "" || n.Digest != "":
		return End{}, fault.Misuse("transfer", n.String(), "this names one image", "leave the tag off, or use dray copy")
	case strings.HasSuffix(s, "/") || strings.HasSuffix(s, string(filepath.Separator)):
		return End{Host: ref.Layout, Prefix: strings.TrimSuffix(n.Path, string(filepath.Separator)) + string(filepath.Separator)}, nil
	}
	return End{Host: ref.Layout, Repo: n.Repo}, nil
}

// IsLayouts reports whether an end is written as layouts below a directory.
func IsLayouts(s string) bool {
	return strings.HasPrefix(s, ref.Layout) && (strings.HasSuffix(s, "/") || strings.HasSuffix(s, string(filepath.Separator)))
}
