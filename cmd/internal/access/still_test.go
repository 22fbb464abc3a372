package access

import (
	"os"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
)

func TestWhoAskedIsHeldToWhatIsLeftOfThem(t *testing.T) {
	c := newClock()
	file := users(t, "eve", "pw")
	a := open(t, Config{Clock: c.now, Htpasswd: file, Roles: map[string]Role{"eve": Submitter}})
	worker := open(t, Config{Clock: c.now, DB: a.db, Vault: a.vault}) // a process without the htpasswd file
	want := func(a *Access, p Principal, role Role) {
		t.Helper()
		got, err := a.Still(t.Context(), p)
		if role == "" {
			wantKind(t, err, fault.Denied)
		} else if err != nil || got.Role != role || got.Name != p.Name {
			t.Errorf("%+v %v, want %s", got, err, role)
		}
	}
	ci, eve := Principal{Name: "ci", Role: Submitter, Via: ViaToken}, Principal{Name: "eve", Role: Submitter, Via: ViaHtpasswd}
	want(a, ci, "")
	if _, _, err := a.NewToken(t.Context(), Token{Principal: "ci", Role: Reader, By: "root", Expires: c.now().Add(2 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	want(a, ci, Reader)
	if _, _, err := a.NewToken(t.Context(), Token{Principal: "ci", Role: Admin, By: "root", Expires: c.now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	want(worker, ci, Submitter)
	c.add(time.Hour)
	want(worker, ci, Reader)
	c.add(time.Hour)
	want(a, ci, "")

	want(a, eve, Submitter)
	want(a, Principal{Name: "eve", Role: Admin, Via: ViaToken}, Submitter)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(a, eve, "")
	want(worker, eve, Submitter)
	for _, via := range []Via{ViaCertificate, ViaLoopback} {
		want(a, Principal{Name: "eve", Role: Admin, Via: via}, Admin)
	}
}

func TestNobodyIsAnybodyWhereTheDatabaseDoesNotAnswer(t *testing.T) {
	a := open(t, Config{})
	a.db.Close()
	_, err := a.Still(t.Context(), Principal{Name: "ci", Role: Submitter, Via: ViaToken})
	wantKind(t, err, fault.Unavailable)
}
