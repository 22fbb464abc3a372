package remote_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/ref"
)

func TestAHostThatWentDownIsFoundOutOnceAndFoundAgain(t *testing.T) {
	registry := testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		r := testbed.Serve(t, registry, testbed.Options{Wire: testbed.Pipes, Host: "reg.example:5000"})
		var down atomic.Bool
		var dials atomic.Int32
		c := client(t, withHost(r, credential.Settings{PlainHTTP: true}), func(o *remote.Options) {
			o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				if down.Load() {
					return nil, errors.New("connection refused")
				}
				return r.Dial(ctx, network, addr)
			}
		})
		look := func() error {
			_, err := c.Open(ref.Repo{Host: r.Host, Path: "app"}, remote.Use{}).Resolve(t.Context(), "v1")
			return err
		}
		wantKind(t, look(), fault.NotFound)
		c.Close() // its connection is idle
		down.Store(true)
		dials.Store(0)
		begin := time.Now()
		wantKind(t, look(), fault.Unavailable)
		first, took := dials.Load(), time.Since(begin)
		if first != 9 {
			t.Errorf("the first request was tried %d times, want 9", first)
		}
		for range 1000 {
			wantKind(t, look(), fault.Unavailable)
		}
		if dials.Load() != first || time.Since(begin) != took {
			t.Errorf("the other requests were tried %d times and took %v", dials.Load()-first, time.Since(begin)-took)
		}
		time.Sleep(time.Second)
		wantKind(t, look(), fault.Unavailable)
		wantKind(t, look(), fault.Unavailable)
		if dials.Load() != first+1 {
			t.Errorf("%d requests checked the host again, want 1", dials.Load()-first)
		}
		down.Store(false)
		wantKind(t, look(), fault.Unavailable)
		time.Sleep(2 * time.Second)
		wantKind(t, look(), fault.NotFound)
		wantKind(t, look(), fault.NotFound)
	})
}
