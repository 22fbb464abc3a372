package ref

import (
	"slices"
	"strings"

	"github.com/drayage/dray/internal/shell"
)

// The transports of ends on disk. Each is the Host of a Repo whose Dir is a directory or a file.
const (
	Layout = "oci:" // an OCI image layout in a directory
)

// transports are the transports of ends on disk, as a name begins with them.
var transports = []string{Layout}

// CutTransport removes what other tools write before a name at a registry: "docker://", and "oci://" if a host with
// a dot or a port, or localhost, follows it. Helm and Flux write oci:// so, while "oci:DIR" is a layout.
func CutTransport(s string) string {
	if rest, ok := strings.CutPrefix(s, "docker://"); ok {
		return rest
	}
	rest, ok := strings.CutPrefix(s, Layout+"//")
	if first, _, _ := strings.Cut(rest, "/"); ok && LooksLikeHost(first) {
		return rest
	}
	return s
}

// IsLayout reports whether s is the name of an end on disk, and not of one at a registry: "oci:DIR", or "oci:///DIR"
// for a directory from the root of the file system.
func IsLayout(s string) bool {
	transport, _ := cutDisk(s)
	return transport != ""
}

// cutDisk splits the name of an end on disk after its transport. The transport is "" if s is no such name.
func cutDisk(s string) (transport, rest string) {
	for _, transport := range transports {
		rest, ok := strings.CutPrefix(s, transport)
		rooted := strings.TrimPrefix(rest, "//")
		if ok && (rooted == rest || strings.HasPrefix(rooted, "/")) {
			return transport, rooted
		}
	}
	return "", s
}

// NoLogin returns the error of a name that has a login before its host, as in "https://USER:PASSWORD@HOST/a"; nil if
// it has none. The error does not repeat the login. It is [fault.Invalid].
func NoLogin(s string) error {
	at := strings.LastIndexByte(s, '@')
	for at >= 0 && isAlgorithm(s[at+1:]) {
		at = strings.LastIndexByte(s[:at], '@')
	}
	if at < 0 || IsLayout(s) {
		return nil
	}
	before, after := s[:at], s[at+1:]
	isURL := strings.Contains(before, "//")
	isHost := LooksLikeHost(after) && !strings.Contains(before, "/") // else it is a bad digest: "a.io/x@1.27"
	if !isURL && !isHost && !strings.Contains(after, "/") {
		return nil
	}
	return invalid(after, "a name cannot contain credentials", "log in, or pass the login separately")
}

// isAlgorithm reports whether s begins with the algorithm of a digest.
func isAlgorithm(s string) bool {
	algorithm, _, ok := strings.Cut(s, ":")
	return ok && slices.Contains([]string{"sha256", "sha384", "sha512"}, algorithm)
}

// noHost returns the error of "oci://NAME" where NAME is no host: it could be a directory, or a registry.
func noHost(s string) error {
	rest := strings.TrimPrefix(s, Layout+"//")
	return invalid(s, "no host follows oci://",
		"write "+shell.Quote(Layout+rest)+" for a directory, or HOST/REPOSITORY for a registry")
}

// The transports of other tools that dray does not have. They cannot be names: Docker Hub has no such images,
// and a host has a port.
var (
	layouts = []string{"ocidir", "oci-dir", "oci-layout"}
	others  = []string{
		"dir", "docker-archive", "oci-archive", "docker-daemon", "containers-storage", "ostree", "sif",
		"tarball", "docker-tar", "podman", "containerd", "atomic", "openshift", "singularity", "file",
	}
)

// NoTransport returns the error of a name inside a registry that begins with a transport of another tool, such as
// "oci-archive:x.tar"; nil if it does not. It leaves words that may be repositories, as in "file:v1". The error is
// [fault.Invalid].
func NoTransport(s string) error {
	if word, _, ok := strings.Cut(s, ":"); !ok || !strings.Contains(word, "-") {
		return nil
	}
	return foreign(s)
}

// foreign returns the error of a name that begins with a transport or a scheme; nil if it does not.
func foreign(s string) error {
	word, rest, ok := strings.Cut(s, ":")
	port, _, slash := strings.Cut(rest, "/")
	isScheme := strings.HasPrefix(rest, "//")
	switch {
	case !ok, !isScheme && slash && port != "" && strings.Trim(port, "0123456789") == "":
		return nil // the word is a host, with a port
	case slices.Contains(layouts, word):
		to := Layout + strings.TrimPrefix(rest, "//")
		return invalid(s, "dray does not know "+word+": by that name", "write "+shell.Quote(to))
	case slices.Contains(others, word):
		return invalid(s, "dray reads and writes registries and OCI image layouts, and has no transport "+word+":",
			"use an OCI image layout, oci:DIR:TAG: as a source, fill it with "+shell.Line("skopeo", "copy", s, "oci:DIR:TAG")+
				"; as a target, copy to it, and then run "+shell.Line("skopeo", "copy", "oci:DIR:TAG", s))
	case word == "http" && isScheme, word == "https" && isScheme:
		return invalid(s, "a name cannot begin with a scheme", "leave out "+word+"://")
	case isScheme:
		return invalid(s, "dray has no transport "+word+"://",
			"write HOST/REPOSITORY[:TAG] for a registry, or oci:DIR[:TAG] for an OCI image layout")
	}
	return nil
}
