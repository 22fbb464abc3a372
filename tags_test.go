package dray_test

import (
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

func TestListingTagsAsksForNoneOfThem(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, reg, "app", "v2", testbed.RandomOptions{Seed: 2})
	d, err := dray.New(dray.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := ""
	visit := func(e dray.Entry) error { got += e.Tag + " "; return nil }
	if err := d.ListTags(t.Context(), dray.LookRequest{Name: reg.Host + "/app"}, nil, visit); err != nil || got != "v1 v2 " {
		t.Errorf("%q, %v", got, err)
	}
	if n := reg.Count("HEAD", ""); n != 0 {
		t.Errorf("%d HEADs", n)
	}
	if err := d.ListTags(t.Context(), dray.LookRequest{Name: reg.Host + "/app:v1"}, nil, visit); !fault.Is(err, fault.Invalid) {
		t.Errorf("one image: %v", err)
	}
}

func TestNewRefusesLimitsAndNamesThatCanNotBe(t *testing.T) {
	for about, c := range map[string]dray.Config{
		"a negative limit":   {Limits: dray.Limits{Blobs: -1}},
		"a name like a host": {Registries: map[string]dray.Registry{"a.b": {Host: "x.io"}}},
		"not a host":         {Registries: map[string]dray.Registry{"x": {Host: "no host"}}},
		"an unknown default": {Default: "prod"},
	} {
		if _, err := dray.New(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", about, err)
		}
	}
}
