package product

import (
	"testing"

	"github.com/drayage/dray/credential"
)

func TestTheNameOfAHostTellsItsKind(t *testing.T) {
	if d := DialectOf("notazurecr.io", credential.Settings{}); d.Kind != "" {
		t.Errorf("notazurecr.io is %s", d.Kind)
	}
	if d := DialectOf("eu.gcr.io", credential.Settings{}); d.Kind != "gar" {
		t.Errorf("eu.gcr.io is %q", d.Kind)
	}
}
