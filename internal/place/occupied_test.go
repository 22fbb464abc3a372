package place_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/yard"
)

func TestADirectoryOfOtherFilesIsNoTarget(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"oci:" + dir}})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "not empty and is no image layout") ||
		!strings.HasPrefix(fault.HintOf(err), "name a new or an empty directory") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}
