package testbed_test

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

func TestFiveHoursOfRetryAfterPassInMilliseconds(t *testing.T) {
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		refusals := 5
		dial, stop := testbed.Pipe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if refusals--; refusals >= 0 {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}))
		defer stop()
		c := &http.Client{Transport: &http.Transport{DialContext: dial}}
		defer c.CloseIdleConnections()
		begin := time.Now()
		for {
			resp, err := c.Get("http://registry.test/v2/")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
			s, err := strconv.Atoi(resp.Header.Get("Retry-After"))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(s) * time.Second)
		}
		if waited := time.Since(begin); waited != 5*time.Hour {
			t.Errorf("waited %s of virtual time", waited)
		}
	})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s of real time", took)
	}
}

func TestARealRegistryRunsInVirtualTime(t *testing.T) {
	distribution := testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		auth := testbed.Auth{Mode: testbed.Bearer, TTL: time.Hour}
		r := testbed.Serve(t, distribution, testbed.Options{Wire: testbed.Pipes, Host: "a.test:80", Auth: auth})
		other := testbed.Sloppy(t, testbed.Options{Wire: testbed.Pipes, Host: "b.test:80"})
		testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
		bearer := token(t, r, "repository:app:pull")
		if resp, _ := get(t, r, "GET", "/v2/app/manifests/v1", bearer); resp.StatusCode != 200 {
			t.Errorf("fresh token: %s", resp.Status)
		}
		time.Sleep(2 * time.Hour)
		if resp, _ := get(t, r, "GET", "/v2/app/manifests/v1", bearer); resp.StatusCode != 401 {
			t.Errorf("old token: %s", resp.Status)
		}
		c := &http.Client{Transport: &http.Transport{DialContext: testbed.Dialer(r, other)}}
		defer c.CloseIdleConnections()
		resp, err := c.Get("http://b.test/v2/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if other.Count("GET", testbed.Ping) != 1 {
			t.Error("Dialer went to the wrong registry")
		}
		if _, err := c.Get("http://c.test/v2/"); err == nil {
			t.Error("Dialer reached an unknown host")
		}
	})
}
