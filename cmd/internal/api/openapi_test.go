package api_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/cmd/internal/api"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

func TestTheOpenAPIDocumentThatIsCheckedInIsTheOneOfTheCode(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "openapi.json")
	want, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not current: go test ./cmd/internal/api -run OpenAPI -update (%v)", path, err)
	}
}
