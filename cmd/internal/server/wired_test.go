package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

// A registry that leads to the server itself would have a job read what its principal may not, as the machine does.
func TestARegistryDoesNotLeadAJobToItsOwnServer(t *testing.T) {
	to := ""
	away := hostile.LocationTo(func(string) string { return to }).On("GET", testbed.Blob)
	redirect := hostile.Status(http.StatusTemporaryRedirect, http.Header{"Location": {"/"}}, "").On("GET", testbed.Blob)
	source := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), away, redirect)
	testbed.Random(t, source, "app", "v1", testbed.RandomOptions{Size: 100})
	r := run(t, server.Config{Data: t.TempDir(), Egress: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Dray: dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source)}}})
	to = r.base + "/v2/app/blobs/here"
	c, err := client.New(client.Config{URL: r.base})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	j := r.finish(c, importing("src/app:v1", "dray", "app:v1"))
	if j.State != job.Failed || j.Failure == nil || j.Failure.Kind != fault.Refused || !strings.Contains(j.Failure.Text, "the server itself") {
		t.Errorf("%s %+v", j.State, j.Failure)
	}
}

// A Content-Length beside Transfer-Encoding hides a second request from a proxy (RFC 9112 §6.1).
func TestAChunkedRequestEndsItsConnection(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir()})
	addr := strings.TrimPrefix(r.base, "http://")
	for what, headers := range map[string]string{"chunked": "", "both": "Content-Length: 4\r\n"} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: %s\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
			"GET /v2/ HTTP/1.1\r\nHost: %s\r\n\r\n", addr, headers, addr)
		in := bufio.NewReader(conn)
		first, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if first.Body.Close(); first.StatusCode != http.StatusAccepted || !first.Close {
			t.Errorf("%s: %d, closes %v", what, first.StatusCode, first.Close)
		}
		if _, err := in.ReadByte(); err == nil {
			t.Errorf("%s: what was hidden behind it was answered", what)
		}
	}
}

func TestAServerThatStopsKeepsTheHeadOfItsAuditLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heads.jsonl")
	r := run(t, server.Config{Data: t.TempDir(), AuditHeads: file})
	r.pushBlob("", "app", "{}")
	if got := r.pushManifest("", "app", "v1", "one"); got != http.StatusCreated {
		t.Fatal(got)
	}
	r.stop()
	r.wait()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var h wire.Head
	if err := json.Unmarshal(raw, &h); err != nil || !h.Signed() || h.Seq == 0 {
		t.Errorf("%s (%v)", raw, err)
	}
}
