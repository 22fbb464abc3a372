package conform

import (
	"slices"
	"testing"
)

// Run runs each check as a subtest. Behavior that the interfaces do not specify, such as whether a
// document may come before its children, is logged.
func Run(t *testing.T, s Suite) {
	t.Helper()
	checks := slices.Concat(blobChecks(), badBlobChecks(), rangeChecks(), documentChecks(), familyChecks(),
		[]check{{"a document is found by its subject", findsBySubject}}, tagChecks(), togetherChecks())
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(t, s.Open(t)) })
	}
}
