package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/registry"
)

// buffered is how many bytes a killed process may have read and not yet written to the kernel.
const buffered = 4096

// childDir names the environment variable for the directory that a child process serves until it is
// killed.
const childDir = "DRAY_TEST_REGISTRY_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	reg, err := registry.Open(context.Background(), registry.Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	go http.Serve(l, reg)
	io.Copy(io.Discard, os.Stdin) // ends with the parent process if this process is not killed
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

// half sends the head of a PATCH request and content as the first half of its body. It returns the
// connection, which is still open.
func half(t *testing.T, host, path string, content []byte) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n",
		path, host, 2*len(content))
	if _, err := conn.Write(content); err != nil {
		t.Fatal(err)
	}
	return conn
}

// cut disconnects in the middle of a PATCH request, after n bytes. It returns the path of the upload
// after the registry has noticed.
func (p *place) cut(repo string, n int) string {
	p.t.Helper()
	at := p.do("POST", "/v2/"+repo+"/blobs/uploads/", nil).want(202).Header.Get("Location")
	conn := half(p.t, p.host(), at, noise(n))
	conn.(*net.TCPConn).CloseWrite()
	bufio.NewReader(conn).ReadString('\n') // the response, or the end of the connection
	conn.Close()
	return at
}

// reset is like cut, but resets the connection.
func (p *place) reset(repo string, n int) {
	p.t.Helper()
	at := p.do("POST", "/v2/"+repo+"/blobs/uploads/", nil).want(202).Header.Get("Location")
	conn := half(p.t, p.host(), at, noise(n))
	path, _, _ := strings.Cut(at, "?")
	for p.do("GET", path, nil).want(204).Header.Get("Range") == "0-0" {
		time.Sleep(time.Millisecond)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// finish asks for the state of an upload and sends the rest of content.
func (p *place) finish(at, repo string, content []byte) (kept int) {
	p.t.Helper()
	path, _, _ := strings.Cut(at, "?")
	r := p.do("GET", path, nil).want(204)
	var last int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "0-%d", &last); err != nil {
		p.t.Fatal(err)
	}
	if last > 0 {
		kept = last + 1
	}
	d := digest.FromBytes(content)
	p.do("PUT", to(r.Header.Get("Location"), d), content[kept:]).want(201)
	if got := p.do("GET", "/v2/"+repo+"/blobs/"+d.String(), nil).want(200); !bytes.Equal(got.body, content) {
		p.t.Fatal("the blob has other bytes than were sent")
	}
	return kept
}

func TestACutUploadGoesOnAfterARestart(t *testing.T) {
	p := start(t, registry.Options{})
	content := noise(1 << 20)
	at := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	at = p.do("PATCH", at, content[:300_000]).want(202).Header.Get("Location")
	conn := half(t, p.host(), at, content[300_000:600_000])
	conn.(*net.TCPConn).CloseWrite()
	bufio.NewReader(conn).ReadString('\n')
	conn.Close()
	p.reopen()
	if kept := p.finish(at, "app", content); kept != 600_000 {
		t.Fatalf("the registry kept %d of 600000 bytes", kept)
	}
}

func TestAnUploadLocationIsGoodAfterARestart(t *testing.T) {
	p := start(t, registry.Options{})
	content := noise(100_000)
	at := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	at = p.do("PATCH", at, content[:50_000]).want(202).Header.Get("Location")
	p.reopen()
	p.do("PUT", to(at, digest.FromBytes(content)), content[50_000:]).want(201)
}

// child starts a process that serves dir until it is killed.
func child(t *testing.T, dir string) (host string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(kill)
	host, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(host), kill
}

func TestAReferrerThatWasAnswered201OutlivesAKill(t *testing.T) {
	dir := t.TempDir()
	host, kill := child(t, dir)
	idx := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
	idx.SchemaVersion = 2
	idx.Subject = &v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("subject"), Size: 7}

	answered := map[digest.Digest]bool{}
	for i := 0; ; i++ {
		idx.Annotations = map[string]string{"mark": strconv.Itoa(i)}
		raw, _ := json.Marshal(idx)
		req, _ := http.NewRequest("PUT", fmt.Sprintf("http://%s/v2/app/manifests/%s", host, digest.FromBytes(raw)), bytes.NewReader(raw))
		req.Header.Set("Content-Type", idx.MediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			break
		}
		resp.Body.Close()
		if resp.StatusCode != 201 {
			t.Fatal(resp.Status)
		}
		answered[digest.FromBytes(raw)] = true
		if i == 0 {
			time.AfterFunc(300*time.Millisecond, kill)
		}
	}
	kill()
	if len(answered) == 0 {
		t.Fatal("no request was answered")
	}

	p := start(t, registry.Options{Dir: dir})
	for _, d := range p.referrers("app", idx.Subject.Digest, "") {
		p.do("GET", "/v2/app/manifests/"+d.Digest.String(), nil).want(200)
		delete(answered, d.Digest)
	}
	if len(answered) > 0 {
		t.Fatalf("%d referrers are lost", len(answered))
	}
}

func TestAnUploadGoesOnAfterTheProcessIsKilled(t *testing.T) {
	dir := t.TempDir()
	host, kill := child(t, dir)
	content := noise(4 << 20)
	resp, err := http.Post("http://"+host+"/v2/app/blobs/uploads/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	at := resp.Header.Get("Location")
	half(t, host, at, content[:2<<20])
	path, _, _ := strings.Cut(at, "?")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get("http://" + host + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		var last int
		fmt.Sscanf(resp.Header.Get("Range"), "0-%d", &last)
		if last+1 >= 2<<20-buffered {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the registry has %d bytes", last+1)
		}
	}
	kill()

	p := start(t, registry.Options{Dir: dir})
	if kept := p.finish(at, "app", content); kept < 2<<20-buffered {
		t.Fatalf("the registry kept %d of %d bytes", kept, 2<<20)
	}
}
