package azure

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
)

const (
	subscriptionsVersion = "2022-12-01"
	registriesVersion    = "2023-07-01"
	maxPages             = 1000            // of one list
	listedFor            = 5 * time.Minute // a list is not read again for a name that it lacks
)

// directory holds the registries that an identity sees at a resource manager.
type directory struct {
	mu   sync.Mutex // held while a list is read, so that it is read once
	read time.Time
	ids  map[string]string // by login server, in lower case
}

// resource returns the resource ID of a registry: that of the configuration, else the one that the resource manager
// has for its login server. The error is NotFound if the identity sees no such registry.
func (x *exchange) resource(ctx context.Context, host string) (string, error) {
	if id := x.reach.settings(host).ResourceID; id != "" {
		return id, nil
	}
	d := x.directory(x.manager.String())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[host] == "" && (d.read.IsZero() || time.Since(d.read) > listedFor) {
		ids, err := x.registries(ctx)
		if err != nil {
			return "", err
		}
		d.ids, d.read = ids, time.Now()
	}
	if id := d.ids[host]; id != "" {
		return id, nil
	}
	return "", &fault.Fault{Kind: fault.NotFound, Side: fault.Target, Op: "find in Azure the registry", Name: host,
		Err:  errors.New("the identity sees no such registry in its subscriptions"),
		Hint: "set azure.resource-id of the registry in the configuration, or log in as an identity that may read it"}
}

func (c *Client) directory(manager string) *directory {
	d, _ := c.directories.LoadOrStore(manager, &directory{})
	return d.(*directory)
}

// registries lists the registries of all subscriptions. A subscription that may not be listed is left out.
func (x *exchange) registries(ctx context.Context) (map[string]string, error) {
	var subscriptions []string
	err := x.list(ctx, "/subscriptions?api-version="+subscriptionsVersion, func(raw json.RawMessage) {
		var s struct {
			ID string `json:"subscriptionId"`
		}
		if json.Unmarshal(raw, &s) == nil && s.ID != "" {
			subscriptions = append(subscriptions, s.ID)
		}
	})
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	var first error
	for _, s := range subscriptions {
		at := "/subscriptions/" + url.PathEscape(s) + "/providers/Microsoft.ContainerRegistry/registries?api-version="
		err := x.list(ctx, at+registriesVersion, func(raw json.RawMessage) {
			var r struct {
				ID         string `json:"id"`
				Properties struct {
					LoginServer string `json:"loginServer"`
				} `json:"properties"`
			}
			if json.Unmarshal(raw, &r) == nil && r.ID != "" {
				ids[strings.ToLower(r.Properties.LoginServer)] = r.ID
			}
		})
		switch {
		case fault.Is(err, fault.Canceled):
			return nil, err
		case err != nil:
			first = cmp.Or(first, err)
		}
	}
	if len(ids) == 0 {
		return ids, first
	}
	return ids, nil
}

// list calls visit with each value of a list, which may have several pages.
func (x *exchange) list(ctx context.Context, path string, visit func(json.RawMessage)) error {
	at := x.manager.String() + path
	for range maxPages {
		const op = "list in Azure the registries for"
		a, err := x.send(ctx, call{op: op, method: http.MethodGet, url: at, id: newID()})
		if err != nil {
			return err
		}
		if a.status != http.StatusOK {
			return a.refused(op, x.host)
		}
		var page struct {
			Value []json.RawMessage `json:"value"`
			Next  string            `json:"nextLink"`
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			return &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: op, Name: x.host, Err: errNoAnswer}
		}
		for _, v := range page.Value {
			visit(v)
		}
		if page.Next == "" {
			return nil
		}
		at = page.Next
	}
	return nil
}

var errNoAnswer = errors.New("the answer of the resource manager is not the documented JSON")
