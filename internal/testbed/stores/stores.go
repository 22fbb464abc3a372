package stores

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Stores are the object stores of the tests of one process. Each starts when the first test asks for it. Main
// creates and ends them.
type Stores struct {
	dir      string
	cert     tls.Certificate // of all servers with TLS; the process trusts it
	google   *google
	programs []*exec.Cmd

	s3, azure, gcs once
}

// Bucket is an empty directory of a bucket. Driver and Parameters are those of the registry's storage.
type Bucket struct {
	Driver     string
	Parameters map[string]any
	Server     *os.Process // of the store
}

// once is a server that starts once.
type once struct {
	sync.Once
	at      string // its URL
	process *os.Process
	err     error
}

// Main runs the tests and ends the stores. It returns the exit code. It changes the environment of the process:
// programs and libraries trust the certificate of the stores, and reach Google's hosts through a proxy that leads
// to fake-gcs-server.
func Main(m *testing.M, use func(*Stores)) int {
	s, err := create()
	if err != nil {
		fmt.Fprintln(os.Stderr, "object stores:", err)
		return 1
	}
	defer s.end()
	use(s)
	return m.Run()
}

func create() (*Stores, error) {
	dir, err := os.MkdirTemp("", "dray-stores-*")
	if err != nil {
		return nil, err
	}
	s := &Stores{dir: dir}
	if err := s.makeCert(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if s.google, err = listenAsGoogle(s.cert); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for key, value := range map[string]string{
		"SSL_CERT_FILE": s.certFile(), "SSL_CERT_DIR": s.dir, "HTTPS_PROXY": s.google.proxy(), "https_proxy": "",
		"NO_PROXY": "", "no_proxy": "", "AWS_CA_BUNDLE": "", // with it, AWS changes http.DefaultClient
	} {
		if err := os.Setenv(key, value); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Stores) end() {
	for _, p := range s.programs {
		_ = p.Process.Kill() // fails only if it has ended
		_ = p.Wait()
	}
	if s.google != nil {
		s.google.close()
	}
	_ = os.RemoveAll(s.dir)
}

func (s *Stores) certFile() string { return filepath.Join(s.dir, "cert.pem") }
func (s *Stores) keyFile() string  { return filepath.Join(s.dir, "key.pem") }

// makeCert creates the certificate of all servers with TLS.
func (s *Stores) makeCert() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "object stores of tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "*.googleapis.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return errors.Join(
		os.WriteFile(s.certFile(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(s.keyFile(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}

// find returns the path of a file below .tools/stores of this repository. If there is none, the test is skipped.
func find(tb testing.TB, what, pattern string) string {
	tb.Helper()
	dir, err := os.Getwd() // the directory of the package under test
	for err == nil {
		if found, _ := filepath.Glob(filepath.Join(dir, ".tools", "stores", filepath.FromSlash(pattern))); len(found) > 0 {
			return found[0]
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	tb.Skip("SKIPPED: " + what + " is not installed: make stores installs it")
	return ""
}

// started starts a server that is not running yet. command returns its command line for a port. The test fails if
// the server does not answer at its URL within a minute.
func (s *Stores) started(tb testing.TB, o *once, scheme string, command func(port string) []string) string {
	tb.Helper()
	o.Do(func() { o.at, o.process, o.err = s.launch(scheme, command) })
	if o.err != nil {
		tb.Fatal(o.err)
	}
	return o.at
}

func (s *Stores) launch(scheme string, command func(port string) []string) (string, *os.Process, error) {
	free, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	port := strconv.Itoa(free.Addr().(*net.TCPAddr).Port)
	_ = free.Close()
	args := command(port)
	var output bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // it runs until the tests end
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &output, &output
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	s.programs = append(s.programs, cmd)
	at := scheme + "://127.0.0.1:" + port
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c, err := new(net.Dialer).DialContext(context.Background(), "tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			return at, cmd.Process, nil
		}
	}
	return "", nil, fmt.Errorf("%s does not answer within a minute", filepath.Base(args[0]))
}

// createBucket sends the request that creates a bucket, which may exist.
func createBucket(tb testing.TB, req *http.Request) {
	tb.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode != http.StatusConflict { // 409: it exists
		tb.Fatalf("create bucket: %s", resp.Status)
	}
}
