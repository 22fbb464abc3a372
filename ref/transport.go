package ref

import (
	"slices"
	"strings"
)

// The transports of ends on disk. Each is the Host of a Repo whose Dir is a directory or a file.
const (
	Layout        = "oci:"            // an OCI image layout in a directory
	Archive       = "oci-archive:"    // an OCI image layout in a tar archive
	DockerArchive = "docker-archive:" // a tar archive as docker save writes it
	Directory     = "dir:"            // a directory with the files of one image, as skopeo writes it
)

// transports are the transports of ends on disk, as a name begins with them.
var transports = []string{Layout, Archive, DockerArchive, Directory}

// Stream is the Dir of an archive that is the standard input or the standard output.
const Stream = "-"

// Bundle is the Host of a repository of a bundle. Such a repository is only there while the bundle is made or loaded.
// Its name is "bundle:PATH", which cannot be parsed.
const Bundle = "the.bundle"

// CutTransport removes what other tools write before a name at a registry: "docker://", and "oci://" if a host with
// a dot or a port, or localhost, follows it. Helm and Flux write oci:// so, while "oci:DIR" is a layout.
func CutTransport(s string) string {
	if rest, ok := strings.CutPrefix(s, "docker://"); ok {
		return rest
	}
	rest, ok := strings.CutPrefix(s, Layout+"//")
	first, _, _ := strings.Cut(rest, "/")
	if isDirectory := first == "." || first == ".."; ok && LooksLikeHost(first) && !isDirectory {
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
		isHost := transport == Directory && beginsWithPort(rest) // a host may be called dir
		if ok && !isHost && (rooted == rest || strings.HasPrefix(rooted, "/")) {
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
	if strings.HasPrefix(after, "/") { // "ostree:app@/repo"
		return nil
	}
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

// fileOf says what follows a transport of an end on disk.
func fileOf(transport string) string {
	if transport == Archive || transport == DockerArchive {
		return "FILE"
	}
	return "DIR"
}

// beginsWithPort reports whether s begins as what follows a host does: "5000/".
func beginsWithPort(s string) bool {
	port, _, slash := strings.Cut(s, "/")
	return slash && port != "" && strings.Trim(port, "0123456789") == ""
}
