package apply_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

// Several documents of an image wait for one listing of its repository, which takes for ever. All of them give up when
// the copy is canceled. (If they waited for a lock, virtual time would stand still.)
func TestACopyThatWaitsForAListingOfDigestTagsCanBeCanceled(t *testing.T) {
	src, dst := testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) })
		silent := hostile.NoHeader(0).On("GET", testbed.Tags)
		a := hostile.Serve(t, src, testbed.Options{Wire: testbed.Pipes, Host: "src.example:5000"}, silent)
		b := testbed.Serve(t, dst, testbed.Options{Wire: testbed.Pipes, Host: "dst.example:5000"})
		testbed.Index(t, a, "app", "v1", 6)
		d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}, Dial: testbed.Dialer(a, b)})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		req := dray.CopyRequest{Source: "src.example:5000/app:v1", Targets: []string{"dst.example:5000/app:v1"}}
		p, err := d.PlanCopy(ctx, req, nil)
		if err == nil {
			_, err = d.Apply(ctx, p, nil)
		}
		if took := time.Since(begin); err == nil || silent.Fired() == 0 || took > 11*time.Second {
			t.Errorf("%v after %v, the listing was asked for %d times", err, took, silent.Fired())
		}
	})
}
