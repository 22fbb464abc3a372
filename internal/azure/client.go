package azure

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/echo"
	"github.com/drayage/dray/internal/ledger"
)

// Options say what a Client may use.
type Options struct {
	// Settings returns the settings of a registry.
	Settings func(host string) credential.Settings
	// Tokens returns the tokens for resource managers.
	Tokens credential.ManagerTokens
	// Dial opens connections; nil means the network of the system.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// UserAgent is the User-Agent header. "" means "dray".
	UserAgent string
	// MaxWait is the longest wait that the resource manager may ask for.
	MaxWait time.Duration
	// Operations remembers imports whose end was not seen. nil remembers none.
	Operations *ledger.Operations
}

// Client asks resource managers to import images. It is safe for concurrent use. Its errors are *fault.Fault.
type Client struct {
	tokens      credential.ManagerTokens
	userAgent   string
	maxWait     time.Duration
	operations  *ledger.Operations
	reach       *reach
	sent        *echo.Sent
	pace        pace
	directories sync.Map // of *directory, by the URL of the resource manager
	closed      sync.Map // of closed, by registry
}

// New returns a Client. It makes no requests.
func New(o Options) *Client {
	return &Client{tokens: o.Tokens, userAgent: o.UserAgent, maxWait: o.MaxWait, operations: o.Operations,
		reach: &reach{settings: o.Settings, dial: o.Dial}, sent: &echo.Sent{}}
}

// Close closes idle connections.
func (c *Client) Close() { c.reach.close() }

// Imports reports whether host is a registry into which Azure imports images.
func (c *Client) Imports(host string) bool {
	_, ok := c.reach.manager(host)
	return ok
}

// Via returns who brings images to the registry at host if nobody says it for a run; "" means nothing.
func (c *Client) Via(host string) credential.Via { return c.reach.settings(host).Via }

// newID returns the ID of a request in the form that Azure wants: a random UUID (RFC 9562 §5.4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error: crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
