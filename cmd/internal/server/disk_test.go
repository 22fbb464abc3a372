//go:build linux && amd64

package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/calls"
)

// A server whose disk takes nothing says so without a path, serves what it has, and goes on when the disk is mended.
func TestAServerOnADiskThatFailsSaysSoAndGoesOnWhenItIsMended(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, source, "app", "v0", testbed.RandomOptions{})
	data, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, data: filepath.Join(data, "data"), listen: freeAddr(t), source: source.Host}
	var broken atomic.Uint32 // the error of the disk; 0 while it works
	c.startTraced(func(calls.Call) calls.Act { return calls.Act{Fail: syscall.Errno(broken.Load())} })
	t.Cleanup(c.kill)
	remote, err := client.New(client.Config{URL: "http://" + c.listen})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	push := func(content string) (int, string) {
		status, said, h := ask(t, c.listen, "POST", "/v2/app/blobs/uploads/", "")
		if status == http.StatusAccepted {
			status, said, _ = ask(t, c.listen, "PUT", h.Get("Location")+"&digest="+digest.FromString(content).String(), content)
		}
		return status, said
	}
	submit := func(key string) error {
		_, err := remote.Submit(t.Context(), importing("src/app:v0", "dray", "job:"+key), client.How{Key: key})
		return err
	}
	if status, said := push("kept"); status != 201 {
		t.Fatal(status, said)
	}
	for i, errno := range []syscall.Errno{syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.ENOSPC} {
		broken.Store(uint32(errno))
		status, said := push(fmt.Sprint("lost ", i))
		err := submit(fmt.Sprint("lost", i))
		ready := c.ready(503) // it is found out when the server notes that it is alive
		if status != 507 || !strings.Contains(said, `"code":"DENIED"`) || !fault.Is(err, fault.Full) && !fault.Is(err, fault.Unavailable) ||
			strings.Contains(err.Error(), "\n") || !strings.Contains(ready, "queue: ") || strings.Contains(said+err.Error()+ready, data) {
			t.Errorf("%v: a push gets %d %s; a job gets %v; %s", errno, status, said, err, ready)
		}
		if status, _, _ := ask(t, c.listen, "GET", "/v2/app/blobs/"+digest.FromString("kept").String(), ""); status != 200 {
			t.Errorf("%v: a pull gets %d", errno, status)
		}
		broken.Store(0)
		c.ready(200)
		if status, said := push(fmt.Sprint("again ", i)); status != 201 {
			t.Errorf("%v: %d %s", errno, status, said)
		}
		if err := submit(fmt.Sprint("again", i)); err != nil {
			t.Errorf("%v: %v", errno, err)
		}
	}
	for id, state := range ended(t, remote) {
		if state != "done" {
			t.Errorf("%s: %s", id, state)
		}
	}
	c.kill()
	auditOf(t, c.data)
}

// ready waits until /readyz has a status, and returns what it says.
func (c *child) ready(want int) string {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, said, _ := ask(c.t, c.listen, "GET", "/readyz", "")
		if status == want {
			return said
		}
		if time.Now().After(end) {
			c.t.Fatalf("/readyz is %d, want %d: %s", status, want, said)
		}
	}
}

// ask sends a request and returns what was answered.
func ask(t *testing.T, addr, method, path, body string) (status int, said string, h http.Header) {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = "http://" + addr + path
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw), resp.Header
}
