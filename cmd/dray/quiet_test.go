package main

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// babbling is a registry that knows no name, and that sends bytes unasked after each answer. It answers a
// request when the client has closed the connection of the one before.
func babbling(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	closed := make(chan struct{}, 1)
	closed <- struct{}{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				<-closed
				c.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nbabble"))
				in.ReadByte() // returns when the client closes the connection
				closed <- struct{}{}
			}()
		}
	}()
	return l.Addr().String()
}

func TestWhatGoLogsDoesNotReachStderr(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dray := filepath.Join(dir, "dray")
	if err := os.Symlink(self, dray); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), dray, "digest", babbling(t)+"/app:v1", "--plain-http")
	cmd.Env = []string{"HOME=" + dir}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 3 || strings.Count(stderr.String(), "\n") != 1 || !strings.HasPrefix(stderr.String(), "dray: ") {
		t.Errorf("code %d, stderr %s", code, stderr.String())
	}
}
