package push

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// prepare creates the ECR repository or Harbor project that r needs, if the configuration asks for
// it and it does not exist. It does so before anything is sent, and once in a process for each
// place. If it cannot find out whether the place exists, the push will show it.
func (r *Pusher) prepare(ctx context.Context) error {
	h := r.Host
	place, ensure := r.Repo.Path, r.ensureRepository
	switch {
	case h.Set.Create == credential.CreateNothing:
		return nil
	case h.Product() == "ecr":
	case h.Product() == "harbor":
		place, ensure = projectOf(r.Repo), r.ensureProject
	default:
		return nil
	}
	at := r.taught.made.of(place)
	if err := at.turn.Enter(ctx); err != nil {
		return r.Call("prepare", "", "", r.Repo.String()).Stopped(ctx, err)
	}
	defer at.turn.Leave()
	if at.done {
		return nil
	}
	if err := ensure(ctx); err != nil {
		return err
	}
	at.done = true
	return nil
}

// Place is the repository or project that must exist before a push.
type Place struct {
	// Name says what is missing, for example "the Harbor project team". It is "" if the place
	// exists, if the registry creates it on push, or if the registry does not tell.
	Name    string
	Created bool // a push creates it, because Settings.Create is set
	Hint    string
}

// Absent returns the place that a push at ECR or Harbor needs and that does not exist. The Place of
// any other registry has no Name.
func (r *Pusher) Absent(ctx context.Context) (Place, error) {
	at := Place{Created: r.Host.Set.Create != credential.CreateNothing, Hint: product.CreateHint(r.Host.Product())}
	switch r.Host.Product() {
	case "ecr":
		if err := r.askEmpty(ctx); err != nil {
			return Place{}, err
		}
		r.known.mu.Lock()
		defer r.known.mu.Unlock()
		if r.known.empty {
			at.Name = "the ECR repository " + r.Repo.Path
		}
	case "harbor":
		there, known, err := r.hasProject(ctx)
		if err != nil {
			return Place{}, err
		}
		if known && !there {
			at.Name = "the Harbor project " + projectOf(r.Repo)
		}
	}
	return at, nil
}

// ensureRepository creates the ECR repository if it does not exist.
func (r *Pusher) ensureRepository(ctx context.Context) error {
	if err := r.askEmpty(ctx); err != nil {
		return err
	}
	r.known.mu.Lock()
	empty, hidden := r.known.empty, r.known.hidden
	r.known.mu.Unlock()
	if !empty && !hidden {
		return nil
	}
	made, err := r.dock.ecr.Create(ctx, r.Repo)
	if hidden && fault.Is(err, fault.Denied) {
		return nil // the repository may exist: a login that may neither list nor create may still push
	}
	if err != nil {
		return r.Call("create repository", "", "", r.Repo.String()).Named(err)
	}
	if made {
		r.Observe.Tell(event.Event{
			Kind: event.Noted,
			Host: r.Host.Name,
			Name: r.Repo.String(),
			Text: "created the ECR repository " + r.Repo.String(),
		})
	}
	return nil
}

// ensureProject creates the Harbor project if it does not exist (Harbor API v2.0, POST /projects).
func (r *Pusher) ensureProject(ctx context.Context) error {
	there, known, err := r.hasProject(ctx)
	if err != nil || there || !known {
		return err
	}
	public := "false"
	if r.Host.Set.Create == credential.CreatePublic {
		public = "true"
	}
	project := projectOf(r.Repo)
	raw, err := json.Marshal(map[string]any{"project_name": project, "metadata": map[string]string{"public": public}})
	if err != nil {
		return err
	}
	c := &wire.Call{
		Op:      "create project",
		Name:    r.Host.Name + "/" + project,
		Method:  http.MethodPost,
		Observe: r.Observe,
		Stay:    true,
		Header:  http.Header{"Content-Type": {"application/json"}},
		Size:    int64(len(raw)),
		Body:    func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
	}
	a, err := r.API(ctx, c, "/api/v2.0/projects", "")
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusConflict:
		return nil // another client created it first
	case a.Status != http.StatusCreated:
		code, text := a.Problem()
		hint := "create the project first or ask an administrator to create it, " +
			"because this login may not create projects"
		return c.Fault(reason.KindOf(a.Status, code, text), hint, reason.Quote(a.Status, code, text))
	}
	r.Host.ForgetTokens()
	r.Observe.Tell(event.Event{Kind: event.Noted, Host: r.Host.Name, Name: r.Repo.String(),
		Text: fmt.Sprintf("created the %s Harbor project %s/%s", r.Host.Set.Create, r.Host.Name, project)})
	return nil
}

// hasProject asks Harbor whether the project exists. known is false if Harbor does not tell this
// login.
func (r *Pusher) hasProject(ctx context.Context) (there, known bool, err error) {
	c := &wire.Call{
		Op:      "look for project",
		Name:    r.Host.Name + "/" + projectOf(r.Repo),
		Method:  http.MethodHead,
		Observe: r.Observe,
		Stay:    true,
	}
	a, err := r.API(ctx, c, "/api/v2.0/projects", url.Values{"project_name": {projectOf(r.Repo)}}.Encode())
	if err != nil {
		return false, false, err
	}
	return a.Status == http.StatusOK, a.Status == http.StatusOK || a.Status == http.StatusNotFound, nil
}

// Unmade returns NotFound in place of a Denied that only means that the Harbor project does not
// exist yet and that the push will create it. It returns any other err unchanged.
func (r *Pusher) Unmade(ctx context.Context, err error) error {
	if r.Host.Set.Create == credential.CreateNothing || r.Host.Product() != "harbor" || !fault.Is(err, fault.Denied) {
		return err
	}
	there, known, askErr := r.hasProject(ctx)
	if askErr != nil || there || !known {
		return err
	}
	return &fault.Fault{
		Kind: fault.NotFound,
		Op:   "resolve",
		Name: r.Repo.String(),
		Err:  fmt.Errorf("the project %s does not exist yet", projectOf(r.Repo)),
	}
}

// projectOf returns the first component of a path, which is the project at Harbor.
func projectOf(repo ref.Repo) string {
	project, _, _ := strings.Cut(repo.Path, "/")
	return project
}
