package ledger

import (
	"testing"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestADigestTagIsKnownToComeFromOneSourceWithOneDigest(t *testing.T) {
	dir, to := t.TempDir(), ref.Repo{Host: "r.example", Path: "app"}
	is := Copied{ref.Repo{Host: "src.example", Path: "app"}, "sha256-1.sig", oci.Sum([]byte("a"))}
	for range 2 {
		if err := NewCarried(dir).Note(to, []Copied{is, is}); err != nil {
			t.Fatal(err)
		}
	}
	other, later, away := is, is, is
	other.Tag, later.Digest, away.From.Host = "sha256-2.sig", oci.Sum([]byte("b")), "other.example"
	for _, one := range []Copied{other, later, away} {
		if NewCarried(dir).Has(to, one) {
			t.Errorf("%+v", one)
		}
	}
	if !NewCarried(dir).Has(to, is) || NewCarried(dir).Has(is.From, is) || NewCarried("").Has(to, is) {
		t.Error("it is known for its own target alone")
	}
}
