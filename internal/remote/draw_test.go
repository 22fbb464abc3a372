package remote_test

import (
	"context"
	"errors"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed/canary"
)

func TestDrawStandsBeforeEachRequest(t *testing.T) {
	refused := errors.New("not today")
	var drawn []remote.Draw
	c, err := remote.New(remote.Options{CertDirs: []string{}, Draw: func(_ context.Context, d remote.Draw) error {
		drawn = append(drawn, d)
		return refused
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Check(t.Context(), "reg.example", credential.Login{Scheme: credential.Basic, User: "me", Password: credential.New(canary.Password)})
	if !errors.Is(err, refused) || len(drawn) != 1 || drawn[0] != (remote.Draw{Host: "reg.example", Identity: "me", Class: credential.Reads}) {
		t.Errorf("%v, %v", err, drawn)
	}
}
