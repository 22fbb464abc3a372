package apply_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// closings is in front of a registry and delays the request that closes the upload of one blob.
type closings struct {
	digest string
	before bool          // delay before the registry closes the upload; otherwise delay the response
	held   chan struct{} // closed when the request is delayed
	free   chan struct{} // closed to let the request continue
	ended  chan struct{} // closed when the registry has closed the upload
	once   sync.Once
}

func (c *closings) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if testbed.Parse(r.URL.Path).Kind != testbed.Upload {
			next.ServeHTTP(w, r)
			return
		}
		switch {
		case r.Method == http.MethodPut && r.URL.Query().Get("digest") == c.digest:
			c.close(next, w, r)
			return
		case r.Method == http.MethodGet && c.before:
			c.once.Do(func() { close(c.free) })
			<-c.ended
		}
		next.ServeHTTP(w, r)
	})
}

// close handles one closing request. The first one is delayed.
func (c *closings) close(next http.Handler, w http.ResponseWriter, r *http.Request) {
	select {
	case <-c.held:
		next.ServeHTTP(w, r)
		return
	default:
	}
	body := &heldEnd{ReadCloser: r.Body, left: r.ContentLength, reached: func() {
		if c.before {
			close(c.held)
			<-c.free
		}
	}}
	r.Body = body
	next.ServeHTTP(w, r)
	close(c.ended)
	if !c.before {
		close(c.held)
		<-r.Context().Done()
	}
}

// heldEnd is a body that calls reached once, when it was read to its end.
type heldEnd struct {
	io.ReadCloser
	left    int64
	reached func()
}

func (h *heldEnd) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if h.left -= int64(n); h.left == 0 && h.reached != nil {
		h.reached()
		h.reached = nil
	}
	return n, err
}

// The registry has all bytes of a blob when the process is killed, but the process has not seen the
// response. The repository has no tag yet, so it looks as if it did not exist.
func TestABlobWhoseAnswerWasNotSeenIsNotSentAgain(t *testing.T) {
	for name, before := range map[string]bool{"closed when the next process begins": false, "closed while the next process looks": true} {
		t.Run(name, func(t *testing.T) {
			src := testbed.Distribution(t, testbed.Options{})
			img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 17<<20 + 12345})
			c := &closings{digest: img.Layers[1].Digest.String(), before: before, held: make(chan struct{}), free: make(chan struct{}), ended: make(chan struct{})}
			dst := testbed.Distribution(t, testbed.Options{Dir: t.TempDir(), Front: c.front})
			e := errand{State: filepath.Join(t.TempDir(), "state"), Source: src.Host + "/app:v1", Target: dst.Host + "/team/app:v1"}
			killed := send(t, e).killAt(t, func() bool {
				select {
				case <-c.held:
					return true
				default:
					return false
				}
			})
			if !killed {
				t.Fatal("the copy ended before it was killed")
			}
			time.Sleep(50 * time.Millisecond) // the registry still reads bytes from the kernel's buffer
			next := send(t, e)
			next.wait(t)
			if said := next.out.String(); said != "" {
				t.Error(strings.TrimSpace(said))
			}
			got := newArrivals(t)
			got.read(dst)
			for _, l := range img.Layers {
				if n := got.bytes[l.Digest.String()]; n != l.Size {
					t.Errorf("%d bytes of a blob of %d arrived\n%s", n, l.Size, dst.Story())
				}
			}
			testbed.Same(t, src, dst, "app", "v1", "team/app", "v1")
		})
	}
}
