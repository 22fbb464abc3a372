package name

import "github.com/drayage/dray/fault"

// Words are how hints and notes call the parts of a request: by the flags of dray's command line, by the fields
// of its REST API, by the keys of a mirror rule, or by the properties of Azure's API.
type Words string

// All values of Words.
const (
	Flags  Words = ""
	Fields Words = "fields"
	Keys   Words = "keys"
	Azure  Words = "azure"
)

// Replace calls the way to replace a tag of a target with verb.
func (w Words) Replace(verb string) string {
	flag := "--force"
	if verb == "copy" || verb == "transfer" || verb == "load" {
		flag = "--overwrite update"
	}
	return w.one(flag, "overwrite: update", "mode: Force")
}

// Rewrite calls the way to replace what a target has with verb, whatever it is.
func (w Words) Rewrite(verb string) string {
	flag := "the command copy with --overwrite always"
	switch verb {
	case "copy":
		flag = "--overwrite always"
	case "transfer":
		flag = "--force"
	}
	return w.one(flag, "overwrite: always", flag)
}

// Backup calls the part that names the backup of a tag.
func (w Words) Backup() string { return w.one("--backup", "backup", "backup") }

// Login calls the part of a repeated request that has the login of a side.
func (w Words) Login(side fault.Side) string {
	flag := "--src-creds"
	if side == fault.Target {
		flag = "--dst-creds"
	}
	return w.one(flag, string(side)+"Login", "source.credentials")
}

// SkipBroken calls the way to leave out tags without a manifest.
func (w Words) SkipBroken() string {
	if w == Keys {
		return "skip-broken: true"
	}
	return w.one("--skip-broken", "skipBroken: true", "skipBroken: true")
}

// Strict calls the part that makes a repository without tags an error.
func (w Words) Strict() string { return w.one("--strict", "strict", "strict") }

// MaxRepositories calls the part that limits the repositories of a transfer.
func (w Words) MaxRepositories() string {
	if w == Keys {
		return "max-repositories"
	}
	return w.one("--max-repositories", "maxRepositories", "maxRepositories")
}

// Deep calls the ways to verify more than digests.
func (w Words) Deep() string {
	return w.one("--deep or --rehash", "depth: deep or depth: rehash", "depth: deep or depth: rehash")
}

// PlatformOptional calls the way to copy those platforms that an image has.
func (w Words) PlatformOptional() string {
	return w.one("--platform-optional", "platforms.optional: true", "platforms in the server's configuration")
}

// NoReferrers calls the way to leave behind what refers to an image.
func (w Words) NoReferrers() string {
	if w == Keys {
		return "referrers: false"
	}
	return w.one("--referrers=false", "referrers.mode: false", "referrers in the server's configuration")
}

// AnyReferrers calls the way to accept that a target refuses what refers to an image.
func (w Words) AnyReferrers() string {
	if w == Keys {
		return "referrers: sync"
	}
	return w.one("--referrers=true", "referrers.mode: true", "referrers in the server's configuration")
}

// SomeReferrers calls the way to choose what travels with an image.
func (w Words) SomeReferrers() string {
	return w.one("--referrer-type", "referrers.types", "referrers in the server's configuration")
}

// Rule says what to do about rules that select nothing.
func (w Words) Rule() string {
	const correct = "correct the rule"
	return w.one(correct+", or use --explain to see which rule drops each name", correct, correct)
}

// targets calls the two ways to say where an import goes.
func (w Words) targets() string {
	return w.one("the registry with --name, or a full name with --image",
		"the registry with target, or a full name with images", "the registry with the path of the request")
}

func (w Words) target() string   { return w.one("--name", "target", "the path of the request") }
func (w Words) image() string    { return w.one("--image", "images", "targetTags") }
func (w Words) source() string   { return w.one("--source", "source", "source.sourceImage") }
func (w Words) registry() string { return w.one("--registry", "sourceRegistry", "source.registryUri") }
func (w Words) rename() string   { return w.one("--map", "map", "map") }

func (w Words) one(flag, field, azure string) string {
	switch w {
	case Fields, Keys:
		return field
	case Azure:
		return azure
	}
	return flag
}
