package ref

import (
	"slices"
	"strings"

	"github.com/drayage/dray/internal/shell"
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
	synonyms = map[string]string{
		"ocidir": Layout, "oci-dir": Layout, "oci-layout": Layout, "docker-tar": DockerArchive, "tarball": DockerArchive,
		"oci-tar": Archive,
	}
	others = []string{"ostree", "sif", "containerd", "atomic", "openshift", "singularity", "file"}

	// stores are the programs that hold images for a transport, and write and read archives of them.
	stores = map[string]string{"docker-daemon": "docker", "containers-storage": "podman", "podman": "podman"}
)

// Ends lists what a name can be, for hints.
const Ends = "HOST/REPOSITORY[:TAG], oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF] or dir:DIR"

// NoTransport returns the error of a name inside a registry that begins with a transport, such as "oci-archive:x.tar";
// nil if it does not. It leaves words that may be repositories, as in "dir:v1". The error is [fault.Invalid].
func NoTransport(s string) error {
	word, _, ok := strings.Cut(s, ":")
	if !ok || !strings.Contains(word, "-") {
		return nil
	}
	if slices.Contains(transports, word+":") {
		return invalid(s, "a file is in no registry, and another flag names the registry", "leave out that flag")
	}
	return foreign(s)
}

// foreign returns the error of a name that begins with a transport or a scheme; nil if it does not.
func foreign(s string) error {
	word, rest, ok := strings.Cut(s, ":")
	isScheme := strings.HasPrefix(rest, "//")
	if !ok || !isScheme && beginsWithPort(rest) {
		return nil // the word may be a host, with a port
	}
	if transport, known := synonyms[word]; known {
		return invalid(s, "dray does not know "+word+": by that name",
			"write "+shell.Quote(transport+strings.TrimPrefix(rest, "//")))
	}
	program, isStore := stores[word]
	switch {
	case isStore:
		save := shell.Line(program, "save", rest) + " | " + shell.Dray("copy", DockerArchive+Stream, "TARGET")
		load := shell.Dray("copy", "SOURCE", DockerArchive+Stream) + " | " + shell.Line(program, "load")
		return invalid(s, "dray has no transport "+word+":, because "+program+" holds these images",
			"use a pipe: as a source, run "+save+"; as a target, run "+load)
	case slices.Contains(others, word):
		return invalid(s, "dray has no transport "+word+":", "write "+Ends)
	case word == "http" && isScheme, word == "https" && isScheme:
		return invalid(s, "a name cannot begin with a scheme", "leave out "+word+"://")
	case isScheme && slices.Contains(transports, word+":"):
		return invalid(s, "a file or a directory follows "+word+": without //", "write "+shell.Quote(word+":"+rest[2:]))
	case isScheme:
		return invalid(s, "dray has no transport "+word+"://", "write "+Ends)
	}
	return nil
}

// beginsWithPort reports whether s begins as what follows a host does: "5000/".
func beginsWithPort(s string) bool {
	port, _, slash := strings.Cut(s, "/")
	return slash && port != "" && strings.Trim(port, "0123456789") == ""
}
