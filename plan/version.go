package plan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/drayage/dray/internal/latest"
)

// Versions is a range of semantic versions. The zero Versions selects every tag.
//
// These tags are versions: v1.25.3, 22.04, 1.2.3-rc.1, 0.1.0_build7. A version has two or three numbers,
// with or without a leading v. After them comes "-" with a prerelease, or "_" with build metadata (Helm
// writes "_" for "+"), or nothing. A missing third number is 0. A range never selects a tag that is not a
// version, such as latest, 20240131 or 1.2.3.4.
//
// Prereleases follow the rule of npm and Cargo: a range selects them only if the range itself names a
// prerelease. Variants such as 1.25-alpine are prereleases by this rule. ">=1.25.0-0 <2.0.0-0" selects
// them.
type Versions struct {
	text string
	set  *semver.Constraints
}

// ParseVersions reads a range such as ">=1.2 <2 || ~3.1", "^1.2", "1.2.x" or "1.2 - 1.4", in the syntax of
// Masterminds/semver v3. "" selects every tag. The error is [fault.Invalid].
func ParseVersions(s string) (Versions, error) {
	if strings.TrimSpace(s) == "" {
		return Versions{}, nil
	}
	var err error
	v := Versions{text: s}
	if len(s) > MaxPattern {
		err = fmt.Errorf("the range is longer than %d bytes", MaxPattern)
	} else if v.set, err = semver.NewConstraint(s); err != nil {
		err = errors.New("not a range of versions")
	}
	if err != nil {
		return Versions{}, invalid("read version range", shown(s), err,
			`write a range such as ">=1.2 <2" or "^1.25"`)
	}
	return v, nil
}

// Match reports whether tag is a version in the range.
func (v Versions) Match(tag string) bool {
	if v.set == nil {
		return true
	}
	n, ok := latest.VersionOf(tag)
	return ok && v.set.Check(n)
}

// String returns the text that [ParseVersions] read.
func (v Versions) String() string { return v.text }

// why returns the reason for an explanation.
func (v Versions) why(tag string) string {
	n, ok := latest.VersionOf(tag)
	switch {
	case !ok:
		return fmt.Sprintf("versions %s: not a version", v.text)
	case v.set.Check(n):
		return fmt.Sprintf("versions %s: in the range", v.text)
	case n.Prerelease() != "":
		return fmt.Sprintf("versions %s: a prerelease, which the range does not select", v.text)
	}
	return fmt.Sprintf("versions %s: not in the range", v.text)
}
