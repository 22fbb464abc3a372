package plan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/drayage/dray/fault"
)

// Versions is a range of semantic versions. The zero Versions selects every tag.
//
// A tag is a version when it has two or three numbers, a leading v or none, and after
// them "-" with a prerelease, "_" with build metadata (as Helm writes "+"), or nothing:
// v1.25.3, 22.04, 1.2.3-rc.1, 0.1.0_build7. A missing third number is 0. What is no version,
// as latest, 20240131 or 1.2.3.4, is never selected by a range.
//
// Prereleases follow the rule of npm and Cargo, and variants like 1.25-alpine are
// prereleases to it: they are selected only where the range names a prerelease itself.
// ">=1.25.0-0 <2.0.0-0" selects them.
type Versions struct {
	text string
	set  *semver.Constraints
}

// ParseVersions reads a range in the words of Masterminds/semver v3: ">=1.2 <2 || ~3.1",
// "^1.2", "1.2.x", "1.2 - 1.4". "" selects every tag. The error is Invalid.
func ParseVersions(s string) (Versions, error) {
	if strings.TrimSpace(s) == "" {
		return Versions{}, nil
	}
	var err error
	v := Versions{text: s}
	if len(s) > MaxPattern {
		err = fmt.Errorf("longer than %d bytes", MaxPattern)
	} else {
		v.set, err = semver.NewConstraint(s)
	}
	if err != nil {
		return Versions{}, &fault.Fault{Kind: fault.Invalid, Op: "read version range", Name: shown(s), Err: err,
			Hint: `as in ">=1.2 <2" or "^1.25"`}
	}
	return v, nil
}

// Match reports whether tag is a version in the range.
func (v Versions) Match(tag string) bool {
	if v.set == nil {
		return true
	}
	n, ok := versionOf(tag)
	return ok && v.set.Check(n)
}

// String is what ParseVersions read.
func (v Versions) String() string { return v.text }

// why says in an explanation what v found.
func (v Versions) why(tag string) string {
	n, ok := versionOf(tag)
	switch {
	case !ok:
		return fmt.Sprintf("versions %s: no version", v.text)
	case v.set.Check(n):
		return fmt.Sprintf("versions %s: in it", v.text)
	case n.Prerelease() != "":
		return fmt.Sprintf("versions %s: not in it, as the prerelease that it is", v.text)
	}
	return fmt.Sprintf("versions %s: not in it", v.text)
}

// The first two numbers are asked for: a lone number is a build or a date as often as a version.
var versionLike = lazily(`^v?[0-9]+\.[0-9]+([.\-_]|$)`)

// versionOf reads a tag as a version.
func versionOf(tag string) (*semver.Version, bool) {
	if !versionLike().MatchString(tag) {
		return nil, false
	}
	n, err := semver.NewVersion(strings.Replace(tag, "_", "+", 1))
	return n, err == nil
}

// natural compares names as people order them: runs of digits by their number, the rest
// byte by byte, so that rc9 comes before rc10. Names that differ never compare equal.
func natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		if isDigit(x[0]) && isDigit(y[0]) {
			var m, n string
			m, x = cutDigits(x)
			n, y = cutDigits(y)
			if c := cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n)); c != 0 {
				return c
			}
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// cutDigits cuts the number at the start of s, without leading zeros.
func cutDigits(s string) (number, rest string) {
	end := 0
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	return strings.TrimLeft(s[:end], "0"), s[end:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
