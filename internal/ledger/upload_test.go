package ledger

import (
	"testing"

	"github.com/drayage/dray/ref"
)

func TestTheRecordOfAnUploadWhoseBlobIsThereIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	s := NewUploads(dir)
	key := Key{Repo: ref.Repo{Host: "reg.example", Path: "a"}, Digest: blobOf(1)}
	u, err := s.Claim(key, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Begin("https://reg.example/session"); err != nil {
		t.Fatal(err)
	}
	s.Found(key) // the upload has an owner
	u.Release()
	if u, err = s.Claim(key, 100); err != nil || u.Left() == nil {
		t.Fatalf("%v, %v", u, err)
	}
	u.Release()
	s.Found(key)
	if u, err = s.Claim(key, 100); err != nil || u.Left() != nil {
		t.Fatalf("%v, %v", u.Left(), err)
	}
	u.Forget()
	var none *Uploads
	none.Found(key)
}
