package ref

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/drayage/dray/internal/shell"
)

// Ends lists what a name can be, for hints.
const Ends = "HOST/REPOSITORY[:TAG], oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF] or dir:DIR"

// The transports of other tools that dray does not have. They cannot be names: Docker Hub has no such images,
// and a host has a port.
var (
	synonyms = map[string]string{
		"ocidir": Layout, "oci-dir": Layout, "oci-layout": Layout, "oci-layout-path": Layout, "directory": Directory,
		"oci-tar": Archive, "oci-tarball": Archive,
		"docker-tar": DockerArchive, "docker-tarball": DockerArchive, "tarball": DockerArchive,
	}

	// files are words before the name of a file that may be of any kind.
	files = []string{"file", "tar", "archive"}

	// stores are the programs that hold images for a transport.
	stores = map[string]string{
		"docker-daemon": "docker", "containers-storage": "podman", "podman": "podman", "nerdctl": "nerdctl",
		"containerd": "containerd", "ostree": "ostree",
		"sif": "apptainer", "singularity": "apptainer", "apptainer": "apptainer",
	}

	// registries are names of registries that other tools write as transports.
	registries = []string{"atomic", "openshift"}
)

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
	return Foreign(s)
}

// noRegistry returns the error of an end on disk where a registry is wanted.
func noRegistry(s string) error {
	return invalid(s, "this names a file or a directory, and no registry",
		"write HOST or HOST:PORT; "+shell.Dray("copy", "SOURCE", "TARGET")+" takes files and directories")
}

// noHost returns the error of "oci://NAME" where NAME is no host: it could be a directory, or a registry.
func noHost(s string) error {
	rest := strings.TrimPrefix(s, Layout+"//")
	return invalid(s, "no host follows oci://",
		"write "+shell.Quote(Layout+rest)+" for a directory, or HOST/REPOSITORY for a registry")
}

// Foreign returns the error of a name that begins with a transport of another tool or with a scheme, or that is the
// path of a file; nil if it does neither. [Parse] returns the same error. The error is [fault.Invalid].
func Foreign(s string) error {
	if isPathOfFile(s) {
		return invalid(s, "a path needs a transport before it", "write "+anyOf(s))
	}
	word, rest, ok := strings.Cut(s, ":")
	isScheme := strings.HasPrefix(rest, "//")
	if !ok || !isScheme && beginsWithPort(rest) {
		return nil // the word may be a host, with a port
	}
	bare := strings.TrimPrefix(rest, "//")
	lower := strings.ToLower(word)
	program, isStored := stores[lower]
	transport, isSynonym := synonyms[lower]
	isOurs := slices.Contains(transports, lower+":")
	switch {
	case isSynonym:
		return invalid(s, "dray does not know "+word+": by that name", "write "+shell.Quote(transport+bare))
	case isStored:
		read, write := pipes(program, bare)
		hint := "as a target, run " + write
		if read != "" {
			hint = "use a pipe: as a source, run " + read + "; " + hint
		}
		return invalid(s, "dray has no transport "+word+":, because "+program+" holds these images", hint)
	case slices.Contains(files, lower) && (isScheme || lower == "file" || isArchive(rest)):
		return invalid(s, "dray has no transport "+word+":", "write "+anyOf(bare))
	case slices.Contains(registries, lower):
		return invalid(s, "dray has no transport "+word+":", "write the registry as HOST/REPOSITORY[:TAG]")
	case lower != word && (isOurs || isScheme && (lower == "docker" || lower == "http" || lower == "https")):
		return invalid(s, "a transport is in lower case", "write "+shell.Quote(lower+":"+rest))
	case word == "http" && isScheme, word == "https" && isScheme:
		return invalid(s, "a name cannot begin with a scheme", "leave out "+word+"://")
	case isScheme && word+":" == Layout:
		return noHost(s)
	case isScheme && isOurs:
		return invalid(s, "a file or a directory follows "+word+": without //", "write "+shell.Quote(word+":"+rest[2:]))
	case isScheme:
		return invalid(s, "dray has no transport "+word+"://", "write "+Ends)
	}
	return nil
}

// pipes returns the lines that copy from and to what a program holds under the name image. read is "" if the program
// gives no image away.
func pipes(program, image string) (read, write string) {
	if i := strings.IndexByte(image, ']'); strings.HasPrefix(image, "[") && i > 0 {
		image = image[i+1:] // the storage of containers-storage:[STORAGE]IMAGE
	}
	image = cmp.Or(image, "IMAGE")
	fromDocker := " | " + shell.Dray("copy", DockerArchive+Stream, "TARGET")
	switch program {
	case "containerd":
		return shell.Line("ctr", "images", "export", "-", image) + " | " + shell.Dray("copy", Archive+Stream, "TARGET"),
			shell.Dray("copy", "SOURCE", Archive+Stream) + " | ctr images import -"
	case "ostree":
		return shell.Line("skopeo", "copy", "ostree:"+image, DockerArchive+"/dev/stdout") + fromDocker,
			shell.Dray("copy", "SOURCE", Archive+"FILE") + " && " + shell.Line("skopeo", "copy", Archive+"FILE", "ostree:"+image)
	case "apptainer":
		return "", shell.Dray("copy", "SOURCE", DockerArchive+"FILE") + " && " +
			shell.Line("apptainer", "build", image, DockerArchive+"FILE")
	}
	return shell.Line(program, "save", image) + fromDocker,
		shell.Dray("copy", "SOURCE", DockerArchive+Stream) + " | " + shell.Line(program, "load")
}

// anyOf returns the names of what may be at a path.
func anyOf(path string) string {
	archives := shell.Quote(Archive+path) + " or " + shell.Quote(DockerArchive+path) + " for an archive"
	if isArchive(path) {
		return archives
	}
	return archives + ", " + shell.Quote(Layout+path) + " or " + shell.Quote(Directory+path) + " for a directory"
}

// isPathOfFile reports whether s is a path, which is no name at a registry: "./x", "/x" or "../x", or a word such as
// "x.tar.gz".
func isPathOfFile(s string) bool {
	for _, prefix := range []string{"/", "./", "../", "~/"} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return s == "." || s == ".." || isDrive(s) || !strings.ContainsAny(s, "/:@") && isArchive(s)
}

// isArchive reports whether s ends like the name of an archive.
func isArchive(s string) bool {
	switch path.Ext(s) {
	case ".tar", ".tgz", ".tzst":
		return true
	case ".gz", ".zst", ".bz2", ".xz":
		return strings.HasSuffix(strings.TrimSuffix(s, path.Ext(s)), ".tar")
	}
	return false
}
