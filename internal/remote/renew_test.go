package remote_test

import (
	"context"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/ref"
)

// A cloud login expires after an hour or twelve, but a repository may be open for longer.
func TestALoginOfTheChainIsAskedForAgainInALongRun(t *testing.T) {
	asked := 0
	bubble(t, nil, func(b *bench) {
		_, d := b.store(1, 100)
		for range 3 {
			if _, _, err := b.read(d, 0, -1); err != nil {
				b.Fatal(err)
			}
		}
		if asked != 1 {
			b.Errorf("the login was looked up %d times at once", asked)
		}
		time.Sleep(time.Hour)
		if _, _, err := b.read(d, 0, -1); err != nil {
			b.Fatal(err)
		}
		if asked != 2 {
			b.Errorf("the login was looked up %d times after an hour", asked)
		}
	}, func(serve *testbed.Options, o *remote.Options) {
		serve.Auth = testbed.Auth{Mode: testbed.Basic, Users: map[string]string{"ann": testbed.Password}}
		o.Logins = credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) {
			asked++
			return credential.Login{User: "ann", Password: credential.New(testbed.Password)}, true, nil
		}}
	})
}
