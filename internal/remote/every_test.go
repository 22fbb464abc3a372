package remote_test

import (
	"errors"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
)

func TestManifestsWithoutATagAreToldByRegistriesThatListThemAndByNoOthers(t *testing.T) {
	list := func(r *remote.Repository) (all, loose int, told bool, err error) {
		told, err = r.Every(t.Context(), func(m remote.Manifest) error {
			if all++; len(m.Tags) == 0 {
				loose++
			}
			return nil
		})
		return all, loose, told, err
	}
	shelf := &beside.Shelf{Repo: "team/app", TB: t, Rows: []beside.Row{
		{Digest: "sha256:" + hexOf("1"), Tags: []string{"v1", "v2"}}, {Digest: "sha256:" + hexOf("2")}, {Digest: "sha256:" + hexOf("3")}}}
	reg := testbed.Serve(t, shelf.ACR(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{})
	r := client(t, withHost(reg, credential.Settings{Kind: "acr"})).Open(repo(reg, "team/app"), remote.Use{})
	if all, loose, told, err := list(r); all != 3 || loose != 2 || !told || err != nil {
		t.Errorf("acr: %d, %d, %t, %v", all, loose, told, err)
	}
	stop := errors.New("enough")
	if _, err := r.Every(t.Context(), func(remote.Manifest) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	google := testbed.Serve(t, shelf.Google(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{})
	if all, loose, told, err := list(client(t).Open(repo(google, "team/app"), remote.Use{})); all != 3 || loose != 2 || !told || err != nil {
		t.Errorf("google: %d, %d, %t, %v", all, loose, told, err)
	}
	plain := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, plain, "app", "v1", testbed.RandomOptions{})
	plain.Reset()
	r = client(t).Open(repo(plain, "app"), remote.Use{})
	if all, _, told, err := list(r); all != 0 || told || err != nil || plain.Requests() != 1 {
		t.Errorf("plain: %d, %t, %v\n%s", all, told, err, plain.Story())
	}
	r = client(t).Open(repo(plain, "none"), remote.Use{})
	_, err := r.Every(t.Context(), func(remote.Manifest) error { return nil })
	wantKind(t, err, fault.NotFound)
}

func hexOf(digit string) string {
	hex := ""
	for range 64 {
		hex += digit
	}
	return hex
}
