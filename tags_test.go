package dray

import (
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

func TestARegistryIsFoundByEveryNameThatAzTakes(t *testing.T) {
	d := configured(t, "prod")
	for name, want := range map[string]string{
		"": "prod.example.com:5000", "prod": "prod.example.com:5000", "ACME": "acme.azurecr.io", "Acme.azurecr.io": "acme.azurecr.io",
		"other": "other.azurecr.io", "reg.example": "reg.example", "localhost:5000": "localhost:5000", resourceID: "acme.azurecr.io",
	} {
		if got, err := d.RegistryHost(name); got != want || err != nil {
			t.Errorf("%q: %s, %v, want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"no/registry", "a b", "/subscriptions/x"} {
		if got, err := d.RegistryHost(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %s, %v", name, got, err)
		}
	}
	if _, err := configured(t, "").RegistryHost(""); !fault.Is(err, fault.Invalid) {
		t.Errorf("no name and no default: %v", err)
	}
}

func TestListingTagsAsksForNoneOfThem(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, reg, "app", "v2", testbed.RandomOptions{Seed: 2})
	d, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := ""
	visit := func(e Entry) error { got += e.Tag + " "; return nil }
	if err := d.ListTags(t.Context(), LookRequest{Name: reg.Host + "/app"}, nil, visit); err != nil || got != "v1 v2 " {
		t.Errorf("%q, %v", got, err)
	}
	if n := reg.Count("HEAD", ""); n != 0 {
		t.Errorf("%d HEADs", n)
	}
	if err := d.ListTags(t.Context(), LookRequest{Name: reg.Host + "/app:v1"}, nil, visit); !fault.Is(err, fault.Invalid) {
		t.Errorf("one image: %v", err)
	}
}
