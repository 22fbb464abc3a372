package hostile_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

func TestStallsOfHoursCostNoTimeInABubble(t *testing.T) {
	h := testbed.NewDistribution(t, testbed.Options{})
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		stall, late := hostile.StallAt(1000, 2*time.Hour), hostile.NoHeader(3*time.Hour)
		r := hostile.Serve(t, h, testbed.Options{Wire: testbed.Pipes}, stall, late.On("GET", testbed.Blob))
		img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{Size: size})
		begin := time.Now()
		resp, err := r.Client.Get(r.URL + "/v2/app/blobs/" + img.Layers[0].Digest.String())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || len(b) != size {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if waited := time.Since(begin); waited != 5*time.Hour {
			t.Errorf("waited %s of virtual time", waited)
		}
		fired(t, stall, 1)
		fired(t, late, 1)
	})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s of real time", took)
	}
}

func TestCutsStopsAndTokensElsewhereWorkInABubble(t *testing.T) {
	h := testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		cut, stop := hostile.CutBodyAt(1000), hostile.StopReading(1000, 0)
		r := hostile.Serve(t, h, testbed.Options{Wire: testbed.Pipes}, cut, stop)
		img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{Size: size})
		b := &bench{T: t, Registry: r}
		if _, got, err := b.ask("GET", "/v2/app/blobs/"+img.Layers[0].Digest.String(), nil, nil); err == nil || len(got) != 1000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		b.Client.Timeout = time.Hour
		if _, _, err := b.ask("PATCH", b.upload(), nil, bytes.NewReader(make([]byte, 100_000))); err == nil {
			t.Error("PATCH was answered")
		}
		fired(t, cut, 1)
		fired(t, stop, 1)

		guarded := hostile.Serve(t, h, testbed.Options{Wire: testbed.Pipes, Host: "a.test:80", Auth: testbed.Auth{
			Mode: testbed.Bearer, Realm: testbed.OtherListener, Anonymous: testbed.Pull,
		}})
		c := &http.Client{Transport: &http.Transport{DialContext: testbed.Dialer(guarded, guarded.Issuer.Server)}}
		defer c.CloseIdleConnections()
		resp, err := c.Get(guarded.Issuer.URL + "?scope=repository:app:pull")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || guarded.Issuer.Issued() != 1 {
			t.Errorf("%s from %s", resp.Status, guarded.Issuer.URL)
		}
	})
}
