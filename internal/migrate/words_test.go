package migrate_test

import (
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestAHintToAClientOfTheAPINamesItsFields(t *testing.T) {
	y := withGone(t)
	y.Dray = y.For(place.Job{Words: name.Fields})
	const skip = "push the tag again or remove it at the source, or leave such tags out with skipBroken: true"
	if _, _, err := y.Transferred(yard.Whole()); fault.HintOf(err) != skip {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	_, err := y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/copy"}, Tags: dray.AllTags})
	if fault.HintOf(err) != skip {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	_, _, err = y.Verified(dray.VerifyRequest{Of: yard.Whole(), Heal: true})
	if fault.HintOf(err) != "use depth: deep or depth: rehash" {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	y = yard.Of(t, hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), aborted()), testbed.Distribution(t, testbed.Options{}))
	y.Dray = y.For(place.Job{Words: name.Fields})
	y.Tagged("aborted", "v1")
	req := yard.Whole()
	req.Strict = true
	_, _, err = y.Transferred(req)
	if fault.HintOf(err) != "remove the repository at the source, exclude it, or accept it without strict" {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}

func TestANoteToAClientOfTheAPINamesItsFields(t *testing.T) {
	y := yard.New(t)
	y.Dray = y.For(place.Job{Words: name.Fields})
	y.Tagged("a", "v1")
	y.Tagged("b", "v1")
	req := yard.Whole()
	req.Selection = plan.Selection{MaxRepositories: 1}
	_, sum, err := y.Transferred(req)
	if err != nil || len(sum.Notes) != 1 || !strings.HasPrefix(sum.Notes[0], "more than the 1 repositories of maxRepositories need work") {
		t.Errorf("%q %v", sum.Notes, err)
	}
}
