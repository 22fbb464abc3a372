package foreign

// Flag is a flag of other tools that dray does not have by this name.
type Flag struct {
	Names string // with blanks between them: "all -a"
	Of    string // the tools that have it
	In    string // the commands of dray in which it means this, with blanks between them; "" means all
	Value Value
	To    string // dray's flag for it, with a blank and its value if that is fixed; "" means that it is left out
	None  string // what dray does not do. The command line without the flag would do something else
	Why   string // why it can be left out, or what else there is
}

// Value says what follows a flag.
type Value int

const (
	// Alone is for a switch.
	Alone Value = iota
	// Same is for a value that dray's flag takes, too.
	Same
	// Dropped is for a value that is left out with the flag.
	Dropped
	// Login is for USER:PASSWORD, of which only the user is repeated.
	Login
	// Verifies is for a switch that turns verification off with =false.
	Verifies
)

// Reasons that several flags share.
const (
	byPlatform    = "--platform OS/ARCH chooses platforms"
	loginFile     = "set REGISTRY_AUTH_FILE to the file"
	oneLogin      = "--src-creds and --dst-creds take USER, and dray asks for the password; or use dray's login command"
	withReferrers = "dray copies referrers along, such as signatures, unless --referrers=false says otherwise"
	kept          = "dray keeps the bytes of an image, so that its digest stays"
)

// Flags returns the table of flags.
func Flags() []Flag {
	return append(aboutImages(), append(aboutLogins(), aboutRuns()...)...)
}

func aboutImages() []Flag {
	return []Flag{
		{Names: "all -a", Of: "skopeo", Why: "dray always includes all platforms"},
		{Names: "all-platforms", Of: "nerdctl", Why: "dray always includes all platforms"},
		{Names: "preserve-digests", Of: "skopeo", Why: "dray always keeps digests"},
		{Names: "multi-arch", Of: "skopeo", Value: Dropped, None: "dray copies all platforms; " + byPlatform},
		{Names: "platforms", Of: "regctl", Value: Same, To: "--platform"},
		{Names: "override-os override-arch override-variant", Of: "skopeo", Value: Dropped, None: byPlatform},
		{Names: "recursive -r", Of: "oras", In: "copy import transfer mirror", Why: withReferrers},
		{Names: "digestfile", Of: "skopeo", In: "copy import", Value: Dropped, None: "the command digest prints the digest"},
		{Names: "include-external", Of: "regctl", In: "copy import transfer", To: "--include-foreign"},
		{Names: "full-ref", Of: "crane", In: "ls", Why: "dray prints full names"},
		{Names: "full-ref", Of: "crane", In: "digest",
			None: "it prints the digest alone; with -o json also the name"},
		{Names: "from-oci-layout to-oci-layout oci-layout", Of: "oras", None: "a layout is named oci:DIR:TAG"},
		{Names: "digest-tags", Of: "regctl", Why: withReferrers},
		{Names: "format", Of: "skopeo", Value: Dropped, None: kept + "; -o json prints all that dray knows"},
		{Names: "dest-compress dest-decompress remove-signatures", Of: "skopeo", None: kept},
		{Names: "dest-compress-format dest-compress-level", Of: "skopeo", Value: Dropped, None: kept},
		{Names: "sign-by encryption-key decryption-key", Of: "skopeo", Value: Dropped, None: kept + "; it does not sign"},
		{Names: "policy", Of: "skopeo", Value: Dropped, None: noSigning},
		{Names: "insecure-policy", Of: "skopeo", Why: noSigning},
		{Names: "disable-content-trust", Of: "docker", Why: noSigning},
		{Names: "additional-tag", Of: "skopeo", Value: Dropped, None: "further targets are further arguments"},
	}
}

func aboutLogins() []Flag {
	return []Flag{
		{Names: "dest-creds", Of: "skopeo", Value: Login, To: "--dst-creds"},
		{Names: "creds", Of: "skopeo", Value: Login, To: "--src-creds"},
		{Names: "authfile src-authfile dest-authfile", Of: "skopeo", Value: Dropped, None: loginFile},
		{Names: "registry-config from-registry-config to-registry-config", Of: "oras", Value: Dropped, None: loginFile},
		{Names: "src-username from-username", Of: "skopeo, oras", Value: Same, To: "--src-creds"},
		{Names: "dest-username to-username", Of: "skopeo, oras", Value: Same, To: "--dst-creds"},
		{Names: "src-password from-password dest-password to-password", Of: "skopeo, oras", Value: Dropped, Why: oneLogin},
		{Names: "src-registry-token dest-registry-token registry-token", Of: "skopeo", Value: Dropped, Why: oneLogin},
		{Names: "src-no-creds dest-no-creds no-creds", Of: "skopeo", None: "dray sends a login only where one is configured"},
		{Names: "get-login", Of: "podman", In: "login", None: noAsking},
		{Names: "user", Value: Same, To: "--username"},
	}
}

func aboutRuns() []Flag {
	return []Flag{
		{Names: "src-tls-verify dest-tls-verify tls-verify", Of: "skopeo", Value: Verifies, To: "--insecure",
			Why: "for a registry without TLS there is --plain-http"},
		{Names: "from-insecure to-insecure skip-tls-verify", Of: "oras", To: "--insecure"},
		{Names: "from-plain-http to-plain-http", Of: "oras", To: "--plain-http"},
		{Names: "src-cert-dir dest-cert-dir cert-dir", Of: "skopeo", Value: Dropped, None: "--ca-file names one PEM file"},
		{Names: "retry-times", Of: "skopeo", Value: Same, To: "--retries"},
		{Names: "jobs -j", Of: "crane", Value: Same, To: "--concurrency"},
		{Names: "no-clobber", Of: "crane", To: "--overwrite refuse"},
		{Names: "force-tag", Of: "regctl", To: "--overwrite always"},
		{Names: "force -f", In: "copy", To: "--overwrite always"},
		{Names: "-n", Of: "rsync, make", To: "--dry-run"},
		{Names: "keep-going", Of: "skopeo", Why: "dray goes on after a failure"},
		{Names: "src dest", Of: "skopeo", Value: Dropped, Why: "the names say what they are"},
		{Names: "scoped", Of: "skopeo", None: "--template makes the names at the target"},
		{Names: "include-tags exclude-tags include exclude semver newer-than latest", In: "copy import", Value: Dropped,
			None: "it selects tags or repositories, which the command transfer does; copy --all-tags copies all tags"},
		{Names: "tags", In: "copy", Value: Dropped,
			None: "--all-tags copies all of them; the command transfer selects some with --include-tags"},
		{Names: "tags", In: "transfer verify", Value: Same, To: "--include-tags"},
		{Names: "all-tags", Of: "crane, docker", In: "transfer verify",
			Why: "transfer and verify take all tags, unless a flag selects some"},
		{Names: "tags", In: "ls", Why: "ls lists the tags of a repository"},
		{Names: "name", Of: "az", In: "copy", Value: Dropped,
			None: "the targets of copy begin with their registry; the command import takes one for all with --name"},
		{Names: "server", Value: Dropped, None: "this command becomes no job, so dray runs it here"},
		{Names: "no-tty", Of: "oras", To: "--no-progress"},
		{Names: "verbosity", Of: "regctl", Value: Dropped, To: "--verbose"},
		{Names: "command-timeout", Of: "skopeo", Value: Dropped, None: "--stall-timeout and --max-wait bound each wait"},
	}
}
