//go:build linux

package limits

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// crowd opens n connections to addr, sends what first returns for each, and returns them.
func crowd(t *testing.T, addr string, n int, first func(conn net.Conn) error) []net.Conn {
	t.Helper()
	all := make([]net.Conn, 0, n)
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			err = first(conn)
		}
		if err != nil {
			t.Fatalf("connection %d: %v", len(all), err)
		}
		t.Cleanup(func() { conn.Close() })
		all = append(all, conn)
	}
	return all
}

// served checks that a new client of a server is served, and returns how long the slowest of 20 requests took.
func served(t *testing.T, client *http.Client, url string) (slowest time.Duration) {
	t.Helper()
	for range 20 {
		began := time.Now()
		resp, err := client.Get(url + "/v2/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		client.CloseIdleConnections()
		slowest = max(slowest, time.Since(began))
	}
	if slowest > 20*time.Second {
		t.Errorf("a request took %v", slowest)
	}
	return slowest
}

func TestLimitTenThousandConnections(t *testing.T) {
	n := size(10_000, 1_000)
	idle := func(conn net.Conn) error {
		fmt.Fprint(conn, "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		return err
	}
	for name, b := range map[string]box{"idle": {}, "idle in 128 MiB": {memory: small}, "idle with 256 descriptors": {files: 256}} {
		t.Run(name, func(t *testing.T) {
			n := n
			if b.files > 0 {
				n = min(n, 150) // each waits until another connection has waited for a second
			}
			p, addr := serve(t, b, nil)
			crowd(t, addr, n, idle)
			slowest := served(t, &http.Client{}, "http://"+addr)
			p.figures(fmt.Sprintf("%d connections %s, the slowest of 20 others took %d ms", n, name, slowest.Milliseconds()))
			p.stop()
		})
	}
	t.Run("half-open TLS", func(t *testing.T) {
		cert, key, client := certificate(t)
		p, addr := serve(t, box{}, nil, "--tls-cert", cert, "--tls-key", key)
		crowd(t, addr, n, func(conn net.Conn) error {
			_, err := conn.Write([]byte{0x16, 0x03, 0x01})
			return err
		})
		slowest := served(t, client, "https://"+addr)
		p.figures(fmt.Sprintf("%d half-open TLS connections, the slowest of 20 others took %d ms", n, slowest.Milliseconds()))
		p.stop()
	})
}
