package yard

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
)

// Azure returns a yard whose source has Azure's API in addition. The repository team/app has n
// tags, "v000" and following. Three tags at a time share an image.
func Azure(t *testing.T, n int) (*Yard, *beside.Shelf) {
	t.Helper()
	shelf := &beside.Shelf{Repo: "team/app", TB: t}
	src := testbed.Serve(t, shelf.ACR(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{})
	dst := testbed.Distribution(t, testbed.Options{})
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true, Kind: "acr"}},
		"dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	y := &Yard{Dray: d, T: t, Src: src, Dst: dst}
	y.Shelve(shelf, n)
	y.Forget()
	return y, shelf
}

// Shelve stores images under n tags, three tags for each image, and adds them to the shelf.
func (y *Yard) Shelve(shelf *beside.Shelf, n int) {
	y.T.Helper()
	for i := 0; i < n; i += 3 {
		tag := fmt.Sprintf("v%03d", i)
		img := testbed.Random(y.T, y.Src, shelf.Repo, tag, testbed.RandomOptions{Seed: uint64(i + 1), Size: 100})
		row := beside.Row{
			Digest:    string(img.Root.Digest),
			MediaType: img.Root.MediaType,
			Size:      img.Bytes,
			OS:        "linux",
			Arch:      "amd64",
			Tags:      []string{tag},
		}
		var raw strings.Builder
		accept := http.Header{"Accept": {img.Root.MediaType}}
		y.Src.Direct(y.T, "GET", "/v2/"+shelf.Repo+"/manifests/"+tag, accept, nil, &raw)
		for k := i + 1; k < min(i+3, n); k++ {
			row.Tags = append(row.Tags, fmt.Sprintf("v%03d", k))
			y.Src.Manifest(y.T, shelf.Repo, row.Tags[k-i], img.Root.MediaType, []byte(raw.String()))
		}
		shelf.Rows = append(shelf.Rows, row)
	}
}
