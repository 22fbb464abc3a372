package ask

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

var (
	someReferrers = plan.Referrers{
		Mode: plan.ReferrersRequire, Types: []string{"application/spdx+json"}, Annotations: map[string]string{"a": "b"},
	}
	somePlatforms = plan.Platforms{
		Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}}, Form: plan.Sparse, Lacks: plan.Optional,
	}
)

// What may be chosen for images can be chosen at each door: in the configuration, in a mirror rule, for an entry of
// a list, and in each request of a server. include-foreign is of a whole run, so an entry has none. A verify moves
// nothing unless it heals what has passed a gate, so it has no gate.
func TestEachDoorHasEachChoice(t *testing.T) {
	for name, door := range map[string]struct {
		of     any
		lacks  string
		fields [4]string
	}{
		"configuration":       {config.Config{}, "", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gate"}},
		"mirror rule":         {config.Mirror{}, "", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gate"}},
		"entry of a list":     {plan.Own{}, "IncludeForeign", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gates"}},
		"import":              {wire.Import{}, "", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gates"}},
		"copy":                {wire.Copy{}, "", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gates"}},
		"batch":               {wire.Batch{}, "", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gates"}},
		"entry of a batch":    {wire.BatchEntry{}, "IncludeForeign", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gates"}},
		"transfer":            {wire.Transfer{}, "", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gates"}},
		"verify":              {wire.Verify{}, "Gates", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gates"}},
		"import of a library": {dray.ImportRequest{}, "IncludeForeign", [4]string{"Referrers", "Platforms", "IncludeForeign", "Gate"}},
	} {
		for _, field := range door.fields {
			if _, has := reflect.TypeOf(door.of).FieldByName(field); has == (field == door.lacks) {
				t.Errorf("%s: %s: %v", name, field, has)
			}
		}
	}
}

// Each part of a choice arrives at the server as it was made.
func TestEachPartOfAChoiceIsSentToAServer(t *testing.T) {
	for _, p := range []struct{ sent, made any }{
		{referrersJSON(someReferrers), someReferrers},
		{platformsJSON(somePlatforms), somePlatforms},
	} {
		v := reflect.ValueOf(p.sent)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s.%s is not sent", v.Type(), v.Type().Field(i).Name)
			}
		}
		sent, _ := json.Marshal(p.sent)
		made, _ := json.Marshal(p.made)
		if string(sent) != string(made) || v.NumField() != reflect.TypeOf(p.made).NumField() {
			t.Errorf("sent %s, made %s", sent, made)
		}
	}
}

func TestTheRequestOfEachVerbHasTheChoicesOfItsFlags(t *testing.T) {
	ends := &flag.Ends{}
	transfer := dray.TransferRequest{
		Sources: []string{"a.example"}, Target: "b.example", Referrers: someReferrers, Platforms: somePlatforms,
	}
	include := true
	for name, r := range map[string]wire.Request{
		"import":   Import(dray.ImportRequest{Source: "a.example/x:1", Referrers: someReferrers, Platforms: somePlatforms}, nil),
		"copy":     Copy(dray.CopyRequest{Source: "a.example/x:1", Referrers: someReferrers, Platforms: somePlatforms}, nil),
		"batch":    Batch(dray.BatchRequest{Referrers: someReferrers, Platforms: somePlatforms}),
		"transfer": Transfer(ends, 0, transfer),
		"verify":   Verify(ends, dray.VerifyRequest{Of: transfer}),
	} {
		r, err := Gated(Carrying(Known(r), &include, wire.Bringing{Via: "auto"}, wire.Unseen{AcceptUnseen: true}), []string{"release"})(context.Background(), nil, nil)
		if name == "verify" {
			r, err = Carrying(Known(r), &include, wire.Bringing{Via: "auto"}, wire.Unseen{AcceptUnseen: true})(context.Background(), nil, nil)
		}
		if err != nil {
			t.Fatal(name, err)
		}
		raw, _ := json.Marshal(r)
		var sent map[string]json.RawMessage
		var choices struct {
			Referrers      plan.Referrers `json:"referrers"`
			Platforms      plan.Platforms `json:"platforms"`
			IncludeForeign bool           `json:"includeForeign"`
			Gates          []string       `json:"gates"`
			Via            string         `json:"via"`
			AcceptUnseen   bool           `json:"acceptUnseen"`
		}
		if err := json.Unmarshal(raw, &sent); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(sent[r.Kind], &choices); err != nil {
			t.Fatal(name, err)
		}
		gated := name != "verify"
		if !reflect.DeepEqual(choices.Referrers, someReferrers) || !reflect.DeepEqual(choices.Platforms, somePlatforms) ||
			!choices.IncludeForeign || (len(choices.Gates) == 1) != gated || (choices.Via == "auto") != gated ||
			choices.AcceptUnseen != (gated && name != "transfer") {
			t.Errorf("%s: %s", name, raw)
		}
	}
}
