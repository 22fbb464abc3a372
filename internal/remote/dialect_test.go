package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func with(h credential.Settings) func(*testbed.Options, *remote.Options) {
	h.PlainHTTP = true
	return func(_ *testbed.Options, o *remote.Options) {
		o.Hosts = map[string]credential.Settings{"127.0.0.1:5000": h}
	}
}

func TestPiecesAreSentInOrderAndClosedEmpty(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, 5*mib/2)
		_, err := b.send(data, d)
		must(b, err)
		b.count("PATCH", testbed.Upload, 3)
		b.count("PUT", testbed.Upload, 1)
		in, _ := b.r.Sent("PUT", testbed.Upload)
		if in != 0 {
			b.Errorf("%d bytes in the closing request", in)
		}
	}, with(credential.Settings{ChunkSize: mib}))
}

func TestF71TheRegistrysLeastPieceIsKept(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Header("OCI-Chunk-Min-Length", "2097152").On("POST", testbed.Upload)}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("PATCH", testbed.Upload, 2)
	}, with(credential.Settings{ChunkSize: mib}))
}

func TestTheLastPieceGoesIntoTheClosingRequestWhereThatMustNotBeEmpty(t *testing.T) {
	lies := hostile.Header("Range", "0-5242879").On("PATCH", testbed.Upload) // as ECR, whose Range stays at the first chunk
	bubble(t, []*hostile.Fault{lies}, func(b *bench) {
		data, d := noise(b, 1, 12*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("PATCH", testbed.Upload, 2)
		if in, _ := b.r.Sent("PUT", testbed.Upload); in != 2*mib {
			b.Errorf("%d bytes in the closing request", in)
		}
	}, with(credential.Settings{Kind: "ecr", ChunkSize: 1}))
}

func TestWhereTheStatusOfAnUploadIsNotTrustedItIsBegunAnew(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.CutRequestAt(mib).Once()}, func(b *bench) {
		data, d := noise(b, 1, 2*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("GET", testbed.Upload, 0)
		b.count("POST", testbed.Upload, 2)
	}, with(credential.Settings{Kind: "zot"}))
}

func TestF72ARefusedPatchLeavesTheWholeBlob(t *testing.T) {
	faults := []*hostile.Fault{hostile.CutRequestAt(mib).On("PUT", testbed.Upload).Once(), hostile.Status(405, nil, "").On("PATCH", testbed.Upload)}
	bubble(t, faults, func(b *bench) {
		data, d := noise(b, 1, 2*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("PATCH", testbed.Upload, 1)
		b.count("PUT", testbed.Upload, 2)
	})
}

func TestLimitsOfAHostAreKept(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := b.store(1, 10*mib)
		begin := time.Now()
		got, _, err := b.read(d, 0, -1)
		must(b, err)
		if took := time.Since(begin); !bytes.Equal(got, data) || took < 9*time.Second || took > 11*time.Second {
			b.Errorf("%d bytes in %v", len(got), took)
		}
	}, with(credential.Settings{BytesPerSecond: mib}))
	bubble(t, nil, func(b *bench) {
		begin := time.Now()
		b.work(b.repo) // 12 HEADs, 12 POSTs, 12 PUTs
		if took := time.Since(begin); took < 6*time.Second || took > 8*time.Second {
			b.Errorf("36 requests in %v", took)
		}
	}, with(credential.Settings{RequestsPerSecond: 5}))
}

func TestConnectionsAreCountedUntilBodiesAreClosed(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		_, d := b.store(1, 1000)
		open := func(ctx context.Context) (io.ReadCloser, error) {
			body, _, err := b.repo.Blob(ctx, d, 0, -1)
			return body, err
		}
		one, err := open(b.Context())
		must(b, err)
		_, err = open(b.Context())
		must(b, err)
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		_, err = open(ctx)
		wantKind(b, err, fault.Canceled)
		_, err = b.repo.Resolve(b.Context(), "v1") // small requests have their own places
		wantKind(b, err, fault.NotFound)
		must(b, one.Close())
		three, err := open(b.Context())
		must(b, err)
		must(b, three.Close())
	}, with(credential.Settings{Connections: 2}))
}

// halting reads a blob in two requests, as an interrupted download does.
type halting struct {
	io.ReadCloser
	again func() (io.ReadCloser, error)
	left  int
}

func (h *halting) Read(p []byte) (int, error) {
	if h.left > 0 {
		n, err := h.ReadCloser.Read(p[:min(len(p), h.left)])
		h.left -= n
		return n, err
	}
	if h.again != nil {
		h.Close()
		time.Sleep(time.Second)
		body, err := h.again()
		if err != nil {
			return 0, err
		}
		h.ReadCloser, h.again = body, nil
	}
	return h.ReadCloser.Read(p)
}

func TestCopiesWithinAHostDoNotWaitForEachOther(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		other := b.client.Open(repo(b.r, "other"), remote.Use{Actions: remote.Push})
		var wg sync.WaitGroup
		for i := range 4 {
			_, d := b.store(uint64(i), 200<<10)
			wg.Go(func() {
				_, err := other.Put(b.Context(), d, nil, func(ctx context.Context, at int64) (io.ReadCloser, error) {
					open := func(at int64) (io.ReadCloser, error) {
						body, _, err := b.repo.Blob(ctx, d, at, -1)
						return body, err
					}
					body, err := open(at)
					return &halting{body, func() (io.ReadCloser, error) { return open(at + 1000) }, 1000}, err
				})
				must(b, err)
			})
		}
		wg.Wait()
	}, with(credential.Settings{Connections: 1}))
}

func TestReferrersArePaged(t *testing.T) {
	page := func(n int) string {
		_, d := noise(t, uint64(n), 5)
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":5}]}`, oci.TypeIndex, oci.TypeManifest, d.Digest)
	}
	subject := oci.Descriptor{Digest: oci.Sum([]byte("x"))}
	two := func(next string) func(s *testbed.Options, _ *remote.Options) {
		return func(s *testbed.Options, _ *remote.Options) {
			s.Front = func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", oci.TypeIndex)
					if r.URL.RawQuery == "" {
						w.Header().Set("Link", "<"+next+`>; rel="next"`)
						_, _ = io.WriteString(w, page(1))
						return
					}
					_, _ = io.WriteString(w, page(2))
				})
			}
		}
	}
	bubble(t, nil, func(b *bench) {
		list, err := b.repo.Referrers(b.Context(), subject)
		must(b, err)
		if len(list) != 2 {
			b.Errorf("%v", list)
		}
	}, two("?page=2"))
	for _, bad := range []string{"https://elsewhere.example/x", ""} {
		bubble(t, nil, func(b *bench) {
			list, err := b.repo.Referrers(b.Context(), subject)
			if bad == "" && (err != nil || len(list) != 1) || bad != "" && !fault.Is(err, fault.Refused) {
				b.Errorf("%v, %v", list, err)
			}
		}, two(bad))
	}
}

// placed is a connection that appears to lead to an address.
type placed struct {
	net.Conn
	at string
}

func (p placed) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(p.at), Port: 443}
}

func TestF20ANameThatLeadsInsideIsRefusedByItsAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testbed.Serve(t, http.RedirectHandler("https://innocent.example/x", http.StatusTemporaryRedirect), testbed.Options{Wire: testbed.Pipes, Host: "registry.example:80"})
		var dialed []string
		o := remote.Options{CertDirs: []string{}, Default: credential.Settings{PlainHTTP: true}}
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed = append(dialed, addr)
			conn, err := r.Dial(ctx, network, r.Host)
			if strings.HasPrefix(addr, "innocent") {
				return placed{conn, "10.0.0.7"}, err
			}
			return placed{conn, "203.0.113.5"}, err
		}
		c, err := remote.New(o)
		must(t, err)
		defer c.Close()
		_, d := noise(t, 1, 10)
		_, _, err = c.Open(ref.Repo{Host: "registry.example", Path: "app"}, remote.Use{}).Blob(t.Context(), d, 0, -1)
		wantKind(t, err, fault.Refused)
		if !strings.Contains(err.Error(), "an address that is not public") {
			t.Error(err)
		}
		if !slices.Equal(dialed, []string{"registry.example:80", "innocent.example:443"}) {
			t.Errorf("dialed %v", dialed)
		}
	})
}

func TestCertificatesAreFoundByHost(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS})
	dir := t.TempDir()
	pem, err := os.ReadFile(r.CAFile(t))
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, r.Host), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, r.Host, "ca.crt"), pem, 0o600))
	_, err = client(t, func(o *remote.Options) { o.CertDirs = []string{dir} }).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.NotFound)

	for name, h := range map[string]credential.Settings{
		"no such file":   {CAFile: filepath.Join(dir, "absent")},
		"no certificate": {CAFile: os.DevNull},
		"half a pair":    {ClientCert: filepath.Join(dir, r.Host, "ca.crt")},
	} {
		_, err := remote.New(remote.Options{CertDirs: []string{}, Hosts: map[string]credential.Settings{"a.example": h}})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, r.Host, "ca.crt"), nil, 0o600))
	_, err = client(t, func(o *remote.Options) { o.CertDirs = []string{dir} }).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Invalid)
	_, err = remote.New(remote.Options{Hosts: map[string]credential.Settings{"no host": {}}})
	wantKind(t, err, fault.Invalid)
}

func TestALoopbackHostIsAskedForTlsFirst(t *testing.T) {
	for _, scheme := range []testbed.Scheme{testbed.HTTP, testbed.HTTPS} {
		r := testbed.Distribution(t, testbed.Options{Scheme: scheme})
		c := client(t, func(o *remote.Options) {
			if scheme == testbed.HTTPS {
				o.Default.CAFile = r.CAFile(t)
			}
		})
		from := c.Open(repo(r, "app"), remote.Use{Target: true})
		if from.Repo() != repo(r, "app") {
			t.Error(from.Repo())
		}
		_, err := from.Resolve(t.Context(), "v1")
		wantKind(t, err, fault.NotFound)
		if r.Requests() != 1 {
			t.Error(r.Story())
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	c := client(t, func(o *remote.Options) { o.Retries = -1 })
	_, err = c.Open(ref.Repo{Host: l.Addr().String(), Path: "app"}, remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Unavailable)
}

func TestF72TheFirstPieceThatIsRefusedLeavesTheWholeBlob(t *testing.T) {
	for _, code := range []int{405, 411, 501} {
		refuse := hostile.Status(code, nil, "").On("PATCH", testbed.Upload)
		bubble(t, []*hostile.Fault{refuse}, func(b *bench) {
			data, d := noise(b, 1, 2*mib)
			_, err := b.send(data, d)
			must(b, err)
			b.count("PATCH", testbed.Upload, 1)
			b.count("PUT", testbed.Upload, 1)
		}, with(credential.Settings{ChunkSize: mib}))
	}
}
