package azure

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Order is one import. All its targets are in one registry.
type Order struct {
	From ref.Name   // the image, by its digest, or by its tag if nobody here can see it
	To   []ref.Repo // repositories that get it by digest
	Tags []ref.Name // tags that it gets; none of them may exist
	Size int64      // bytes of the image, for how long the import may take

	// Login returns the login at the source. It is asked again for each request, because tokens end.
	Login func(context.Context) (credential.Login, error)
}

// host returns the registry of the targets, and the repository under which the operation is remembered.
func (o Order) host() (string, ref.Repo) {
	for _, to := range o.To {
		return to.Host, to
	}
	return o.Tags[0].Repo.Host, o.Tags[0].Repo
}

// Import lets Azure import an image, and returns when it says that this is done. An import that an earlier process
// asked for and that has not ended is awaited instead; earlier is then true: nobody can tell what became of the
// content since. The error says why Azure did not import the image.
func (c *Client) Import(ctx context.Context, o Order, watch event.Watch) (earlier bool, err error) {
	host, repo := o.host()
	if err := c.isClosed(host); err != nil {
		return false, err
	}
	op := "import by Azure " + o.From.String() + " into"
	x, err := c.about(host, watch)
	if err != nil {
		return false, err
	}
	digest := oci.Digest(o.From.Digest)
	if at := c.operations.Of(repo, digest); at != "" && digest != "" {
		err := x.follow(ctx, op, at, answer{header: http.Header{"Retry-After": {"0"}}}, o.Size)
		if err == nil || fault.Is(err, fault.Canceled) || errors.Is(err, errSlow) {
			return true, x.end(repo, digest, err)
		}
		_ = c.operations.Note(repo, digest, "") // it failed, or Azure has forgotten it: ask anew
	}
	id, err := x.resource(ctx, host)
	if err != nil {
		return false, c.close(host, err)
	}
	ways, err := x.sources(ctx, o)
	if err != nil {
		return false, err
	}
	for _, from := range ways {
		err = x.submit(ctx, op, id, o, from)
		if !fault.Is(err, fault.Denied) || fault.SideOf(err) != fault.Source {
			break // another login at the source would not help
		}
	}
	return false, c.close(host, x.end(repo, digest, err))
}

// closedFor is how long a registry is not asked again that refused an import for a reason that has nothing to do with
// the image, such as a missing right.
const closedFor = 5 * time.Minute

type closed struct {
	err   error
	until time.Time
}

// close remembers err if it would be that of every import into the registry. It returns err.
func (c *Client) close(host string, err error) error {
	if fault.SideOf(err) == fault.Target && (fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound)) {
		c.closed.Store(host, closed{err, time.Now().Add(closedFor)})
	}
	return err
}

func (c *Client) isClosed(host string) error {
	if known, ok := c.closed.Load(host); ok && time.Now().Before(known.(closed).until) {
		return known.(closed).err
	}
	return nil
}

// end forgets an operation that has ended, or of which nothing can be learned any more. It returns err.
func (x *exchange) end(repo ref.Repo, digest oci.Digest, err error) error {
	if !fault.Is(err, fault.Canceled) && !errors.Is(err, errSlow) && digest != "" {
		_ = x.operations.Note(repo, digest, "")
	}
	return err
}

// submit asks for an import and follows it to its end.
func (x *exchange) submit(ctx context.Context, op, id string, o Order, from source) error {
	in := parameters{Source: from, Mode: "NoForce"}
	for _, to := range o.To {
		in.Untagged = append(in.Untagged, to.Path)
	}
	for _, to := range o.Tags {
		in.Tags = append(in.Tags, to.Path+":"+to.Tag)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if from.Credentials != nil {
		pair := from.Credentials.User + ":" + from.Credentials.Password
		x.sent.Header("Basic " + base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	at := x.manager.String() + id + "/importImage?api-version=" + registriesVersion
	a, err := x.send(ctx, call{op: op, method: http.MethodPost, url: at, body: body, id: newID()})
	switch {
	case err != nil:
		return err
	case a.status == http.StatusOK, a.status == http.StatusNoContent:
		return nil
	case a.status == http.StatusBadRequest: // Azure may look at the source first
		return a.failed(op, x.host)
	case a.status != http.StatusAccepted && a.status != http.StatusCreated:
		return a.refused(op, x.host)
	}
	poll := a.header.Get("Azure-AsyncOperation")
	if poll == "" {
		poll = a.header.Get("Location")
	}
	if poll == "" {
		return &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: op, Name: x.host,
			Err: errors.New("azure accepted the import and does not say where its state is")}
	}
	if d := oci.Digest(o.From.Digest); d != "" {
		_, repo := o.host()
		_ = x.operations.Note(repo, d, poll) // without it, a killed run asks again
	}
	return x.follow(ctx, op, poll, a, o.Size)
}

// parameters is ImportImageParameters of Microsoft.ContainerRegistry, api-version 2023-07-01.
type parameters struct {
	Source   source   `json:"source"`
	Tags     []string `json:"targetTags,omitempty"`
	Untagged []string `json:"untaggedTargetRepositories,omitempty"`
	Mode     string   `json:"mode"`
}

type source struct {
	ResourceID  string       `json:"resourceId,omitempty"`
	RegistryURI string       `json:"registryUri,omitempty"`
	Image       string       `json:"sourceImage"`
	Credentials *credentials `json:"credentials,omitempty"`
}

type credentials struct {
	User     string `json:"username,omitempty"`
	Password string `json:"password"`
}

// sources returns how Azure may be told to read the image, the best way first: by the resource ID of the registry,
// which also works for one that is closed to the public, and by its address with the login.
func (x *exchange) sources(ctx context.Context, o Order) ([]source, error) {
	image := o.From.Path + ":" + o.From.Tag
	if o.From.Digest != "" {
		image = o.From.Path + "@" + o.From.Digest
	}
	var ways []source
	login, err := o.Login(ctx)
	if err != nil {
		return nil, fault.On(fault.Source, err)
	}
	if x.Imports(o.From.Host) && (login.IsAnonymous() || login.Scheme == credential.Exchange) {
		id, err := x.resource(ctx, o.From.Host)
		switch {
		case err == nil:
			ways = append(ways, source{ResourceID: id, Image: image})
		case !fault.Is(err, fault.NotFound):
			return nil, err
		}
	}
	if login.IsAnonymous() && len(ways) > 0 {
		return ways, nil
	}
	at := source{RegistryURI: o.From.Host, Image: image}
	switch {
	case login.IsAnonymous():
	case login.Scheme == credential.Refresh:
		at.Credentials = &credentials{credential.TokenUser, login.Password.Reveal()}
	default:
		at.Credentials = &credentials{login.User, login.Password.Reveal()}
	}
	return append(ways, at), nil
}
