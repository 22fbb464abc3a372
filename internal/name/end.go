package name

import (
	"path/filepath"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/ref"
)

// End is one end of a transfer: a whole registry, the repositories below a prefix of it, or one
// repository.
type End struct {
	Host   string
	Prefix string   // "" or a prefix such as "team/"
	Repo   ref.Repo // the zero value unless the end is one repository
}

// End parses names such as "HOST", "HOST/PREFIX/", "HOST/REPO", "oci:DIR/" and "oci:DIR". A word without
// a slash is a registry, and never a repository of Docker Hub.
func (r *Reader) End(s string, side fault.Side) (End, error) {
	e, err := r.end(s, side)
	return e, fault.On(side, err)
}

func (r *Reader) end(s string, side fault.Side) (End, error) {
	if ref.IsLayout(s) {
		return r.layoutReach(s)
	}
	if err := ref.NoLogin(s); err != nil {
		return End{}, err
	}
	if scheme, rest := cutScheme(s); scheme == "" {
		if err := r.foreign(rest); err != nil {
			return End{}, err
		}
	}
	host, prefix, whole, err := r.Registry(s)
	if err != nil {
		return End{}, err
	}
	if whole {
		return End{Host: host, Prefix: prefix}, nil
	}
	n, err := r.Parse(s, side)
	word := !strings.Contains(s, "/")
	if _, malformed := ref.Parse(s); word && malformed != nil {
		return End{}, malformed
	}
	switch {
	case word:
		return End{}, r.strangerWord(s, side)
	case err != nil:
		return End{}, err
	case n.Tag != "" || n.Digest != "":
		return End{}, errorOneImage(n)
	}
	return End{Host: n.Host, Repo: n.Repo}, nil
}

// strangerWord returns the error about a word that is no registry. At the source, it may be meant as an image
// of Docker Hub, if it does not resemble a configured registry.
func (r *Reader) strangerWord(s string, side fault.Side) error {
	word, hint := wordOf(s), "write HOST or HOST:PORT"
	similar := r.similar(word, "")
	if side == fault.Source && len(similar) == 0 {
		hint = atDockerHub("library/" + word)
	}
	return r.stranger(s, word, similar, hint)
}

func errorOneImage(n ref.Name) error {
	return fault.Misuse("transfer", n.String(), "this names one image, not a repository",
		"leave the tag off; to copy one image, see "+shell.Dray("copy", "--help"))
}

// Single reports whether r is one repository.
func (r End) Single() bool { return r.Repo != ref.Repo{} }

// Covers reports whether repo is in r.
func (r End) Covers(repo ref.Repo) bool {
	if r.Single() {
		return repo == r.Repo
	}
	path := repo.Path
	if repo.IsLayout() {
		path = repo.Dir + string(filepath.Separator)
	}
	return repo.Host == r.Host && strings.HasPrefix(path, r.Prefix)
}

// Meets reports whether r and other overlap, that is, whether one of them contains the other.
func (r End) Meets(other End) bool {
	switch {
	case r.Single():
		return other.Covers(r.Repo)
	case other.Single():
		return r.Covers(other.Repo)
	}
	return r.Host == other.Host && (strings.HasPrefix(r.Prefix, other.Prefix) || strings.HasPrefix(other.Prefix, r.Prefix))
}

// Receives reports whether a transfer whose source is from, and whose target is r, stores its
// copies at path. A listing of from also contains these repositories if r is below a prefix of the
// same registry; they are not part of the source.
func (r End) Receives(from End, path string) bool {
	return r.Host == from.Host && r.Prefix != "" &&
		strings.HasPrefix(path, r.Prefix) && !strings.HasPrefix(from.Prefix, r.Prefix)
}

// An image layout can be an end of a transfer. "oci:DIR" is one repository. "oci:DIR/" means all
// layouts in directories below DIR, like "HOST/PREFIX/". Each of these layouts is a repository,
// and its path below DIR is its name.

// An archive of layouts or of docker is such an end, too: "oci-archive:FILE/" means all repositories in it.

// OnDisk reports whether r is on disk, and not at a registry.
func (r End) OnDisk() bool { return ref.Repo{Host: r.Host}.IsLayout() }

// layoutReach parses an end on disk.
func (r *Reader) layoutReach(s string) (End, error) {
	n, err := r.parse(s, "")
	switch {
	case err != nil:
		return End{}, err
	case n.Tag != "" || n.Digest != "":
		return End{}, errorOneImage(n)
	case endsInSeparator(s):
		const separator = string(filepath.Separator)
		if n.Host == ref.Directory {
			return End{}, fault.Misuse("read name", s, "a directory of dir: holds one image",
				"write oci:DIR/, which holds any number")
		}
		return End{Host: n.Host, Prefix: strings.TrimSuffix(n.Dir, separator) + separator}, nil
	}
	return End{Host: n.Host, Repo: n.Repo}, nil
}

// IsLayouts reports whether s means all layouts below a directory, such as "oci:DIR/".
func IsLayouts(s string) bool {
	return ref.IsLayout(s) && endsInSeparator(s)
}

func endsInSeparator(s string) bool {
	return strings.HasSuffix(s, "/") || strings.HasSuffix(s, string(filepath.Separator))
}
