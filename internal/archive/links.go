package archive

import (
	"archive/tar"
	"fmt"
	"path"
	"strings"
)

// addLink records a hard or symbolic link. Archives of older versions of docker have symbolic links
// from a layer to an equal one.
func (a *Archive) addLink(name string, h *tar.Header) error {
	target := h.Linkname
	if h.Typeflag == tar.TypeSymlink && !path.IsAbs(target) {
		target = path.Join(path.Dir(name), target) //nolint:gosec // inside checks it
	}
	clean, err := inside(target)
	if err != nil {
		return a.refused(fmt.Sprintf("the link %.100q to %.100q leads out of the archive", h.Name, h.Linkname), "")
	}
	if _, isFile := a.files[name]; isFile {
		return a.twice(h.Name)
	}
	if before, twice := a.links[name]; twice && before != clean {
		return a.twice(h.Name)
	}
	a.links[name] = clean
	return nil
}

// checkLinks checks that no link leads to itself.
func (a *Archive) checkLinks() error {
	for name := range a.links {
		if _, loops := a.links[a.follow(name)]; loops {
			return a.refused(fmt.Sprintf("the link %.100q leads through more than %d links, or to itself", name, maxHops), "")
		}
	}
	return nil
}

// inside returns the clean form of a name in the archive, without "./" before it. The error says
// that the name leads out of the archive.
func inside(name string) (string, error) {
	clean := path.Clean(name)
	switch {
	case path.IsAbs(name), strings.ContainsAny(name, "\\\x00"):
		return "", fmt.Errorf("the name %.100q is not relative to the archive", name)
	case clean == "..", strings.HasPrefix(clean, "../"):
		return "", fmt.Errorf("the name %.100q leads out of the archive", name)
	}
	return clean, nil
}
