package oci

import (
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
)

// AllPlatforms is the word that asks for all platforms.
const AllPlatforms = "all"

// ParsePlatforms reads platforms as people write them: "linux/amd64", "linux/arm64/v8",
// "windows/amd64:10.0.17763". A word may have several of them, with commas between. The result is
// normalized, sorted, and has each platform once. The word [AllPlatforms] alone gives none, which means
// all. The error is [fault.Invalid].
func ParsePlatforms(words ...string) ([]Platform, error) {
	var all []Platform
	every := false
	for _, word := range words {
		for one := range strings.SplitSeq(word, ",") {
			if one = strings.TrimSpace(one); one == AllPlatforms {
				every = true
				continue
			}
			p, err := ParsePlatform(one)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	if every && len(all) > 0 {
		return nil, fault.Misuse("read platforms", strings.Join(words, ","), "all platforms are asked for, and some of them",
			"leave out the word all, or the others")
	}
	return NormalPlatforms(all), nil
}

// NormalPlatforms returns platforms with the names that images use, as containerd normalizes them. They are
// sorted, and each is there once.
func NormalPlatforms(all []Platform) []Platform {
	var normal []Platform
	for _, p := range all {
		normal = append(normal, normalized(p))
	}
	slices.SortFunc(normal, comparePlatforms)
	return slices.CompactFunc(normal, func(a, b Platform) bool { return comparePlatforms(a, b) == 0 })
}

func comparePlatforms(a, b Platform) int {
	return strings.Compare(PlatformString(&a), PlatformString(&b))
}

// ParsePlatform reads one platform, such as "linux/arm64/v8" or "windows/amd64:10.0.17763", and normalizes it. The error
// is [fault.Invalid].
func ParsePlatform(s string) (Platform, error) {
	name, version, versioned := strings.Cut(s, ":")
	parts := strings.Split(name, "/")
	bad := len(parts) < 2 || len(parts) > 3 || versioned && !isPlatformWord(version)
	if bad || slices.ContainsFunc(parts, func(p string) bool { return !isPlatformWord(p) }) {
		return Platform{}, fault.Misuse("read platform", s, "it is not of the form OS/ARCHITECTURE[/VARIANT][:OS-VERSION]",
			"write it as linux/amd64, linux/arm/v7, windows/amd64:10.0.17763 or all")
	}
	p := Platform{OS: parts[0], Architecture: parts[1], OSVersion: version}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return normalized(p), nil
}

func isPlatformWord(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// normalized returns p with the names that images use, as containerd does: "x86_64" is "amd64", "arm64/v8" is
// "arm64", and "arm" is "arm/v7".
func normalized(p Platform) Platform {
	p.OS, p.Architecture, p.Variant = strings.ToLower(p.OS), strings.ToLower(p.Architecture), strings.ToLower(p.Variant)
	if p.OS == "macos" {
		p.OS = "darwin"
	}
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "i386":
		p.Architecture, p.Variant = "386", ""
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	if p.Variant != "" && p.Variant[0] >= '0' && p.Variant[0] <= '9' {
		p.Variant = "v" + p.Variant
	}
	switch p.Architecture + "/" + p.Variant {
	case "amd64/v1", "arm64/v8":
		p.Variant = ""
	case "arm/":
		p.Variant = "v7"
	}
	return p
}

// PlatformMatches reports whether content for p is asked for by asked. Both are normalized first. A version
// of the operating system in asked is the beginning of that of p: "10.0.17763" asks for "10.0.17763.1234". An
// asked without a version asks for all of them.
func PlatformMatches(asked, p Platform) bool {
	a, b := normalized(asked), normalized(p)
	version := a.OSVersion == "" || a.OSVersion == b.OSVersion || strings.HasPrefix(b.OSVersion, a.OSVersion+".")
	return a.OS == b.OS && a.Architecture == b.Architecture && a.Variant == b.Variant && version
}

// PlatformsString returns platforms as [ParsePlatforms] reads them, with commas between; "all" for none.
func PlatformsString(all []Platform) string {
	if len(all) == 0 {
		return AllPlatforms
	}
	var words []string
	for _, p := range all {
		words = append(words, PlatformString(&p))
	}
	return strings.Join(words, ",")
}

// NamesPlatform reports whether p says what its content is for. Attestations and other documents that are
// for no platform have none, or "unknown/unknown".
func NamesPlatform(p *Platform) bool {
	return p != nil && p.OS != "" && p.Architecture != "" && p.OS != unknown && p.Architecture != unknown
}

const unknown = "unknown"

// PlatformString returns p as people write it: "linux/arm64/v8", "windows/amd64:10.0.17763.1". It
// returns "" if p is nil or names no platform.
func PlatformString(p *Platform) string {
	if p == nil || p.OS == "" && p.Architecture == "" {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	if p.OSVersion != "" {
		s += ":" + p.OSVersion
	}
	return s
}
