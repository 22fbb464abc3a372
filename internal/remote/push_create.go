package remote

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
	"github.com/drayage/dray/ref"
)

// prepare makes what r needs to exist, where that is asked for and it is not
// there: once in a process for each place, before anything is sent. What could
// not be found out is left for the push to meet.
func (r *pusher) prepare(ctx context.Context) error {
	h := r.host
	place, ensure := r.repo.Path, r.ensureRepository
	switch {
	case h.set.Create == credential.CreateNothing:
		return nil
	case h.product() == "ecr":
	case h.product() == "harbor":
		place, ensure = projectOf(r.repo), r.ensureProject
	default:
		return nil
	}
	at := r.taught.made.of(place)
	if err := at.turn.enter(ctx); err != nil {
		return r.call("prepare", "", "", r.repo.String()).stopped(ctx, err)
	}
	defer at.turn.leave()
	if at.done {
		return nil
	}
	if err := ensure(ctx); err != nil {
		return err
	}
	at.done = true
	return nil
}

// Place is what has to exist before anything is pushed.
type Place struct {
	Name    string // "the Harbor project team"; "" where it exists, or the registry makes it, or nothing tells
	Created bool   // Settings.Create has a push make it
	Hint    string
}

// Absent looks for the place that a push would go to, at ECR and Harbor.
func (r *pusher) Absent(ctx context.Context) (Place, error) {
	at := Place{Created: r.host.set.Create != credential.CreateNothing, Hint: createHint(r.host.product())}
	switch r.host.product() {
	case "ecr":
		if err := r.askEmpty(ctx); err != nil {
			return Place{}, err
		}
		r.known.mu.Lock()
		defer r.known.mu.Unlock()
		if r.known.empty {
			at.Name = "the ECR repository " + r.repo.Path
		}
	case "harbor":
		there, known, err := r.hasProject(ctx)
		if err != nil {
			return Place{}, err
		}
		if known && !there {
			at.Name = "the Harbor project " + projectOf(r.repo)
		}
	}
	return at, nil
}

// ensureRepository makes an ECR repository.
func (r *pusher) ensureRepository(ctx context.Context) error {
	if err := r.askEmpty(ctx); err != nil {
		return err
	}
	r.known.mu.Lock()
	empty, hidden := r.known.empty, r.known.hidden
	r.known.mu.Unlock()
	if !empty && !hidden {
		return nil
	}
	made, err := r.dock.ecr.Create(ctx, r.repo)
	if hidden && fault.Is(err, fault.Denied) {
		return nil // it may well be there: who may not list and not create may still push
	}
	if err != nil {
		return r.call("create repository", "", "", r.repo.String()).named(err)
	}
	if made {
		r.observe.Tell(event.Event{Kind: event.Noted, Host: r.host.name, Name: r.repo.String(), Text: "created the ECR repository " + r.repo.String()})
	}
	return nil
}

// ensureProject makes a Harbor project (Harbor API v2.0, POST /projects).
func (r *pusher) ensureProject(ctx context.Context) error {
	there, known, err := r.hasProject(ctx)
	if err != nil || there || !known {
		return err
	}
	public := "false"
	if r.host.set.Create == credential.CreatePublic {
		public = "true"
	}
	project := projectOf(r.repo)
	raw, err := json.Marshal(map[string]any{"project_name": project, "metadata": map[string]string{"public": public}})
	if err != nil {
		return err
	}
	c := &call{op: "create project", name: r.host.name + "/" + project, method: http.MethodPost, observe: r.observe, stay: true,
		header: http.Header{"Content-Type": {"application/json"}}, size: int64(len(raw)),
		body: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }}
	a, err := r.api(ctx, c, "/api/v2.0/projects", "")
	switch {
	case err != nil:
		return err
	case a.status == http.StatusConflict:
		return nil // somebody else was faster
	case a.status != http.StatusCreated:
		code, text := a.problem()
		return c.fault(kindOf(a.status, code, text), "this login may not create projects: create it first, or let an administrator", quote(a.status, code, text))
	}
	r.host.forgetTokens()
	r.observe.Tell(event.Event{Kind: event.Noted, Host: r.host.name, Name: r.repo.String(),
		Text: fmt.Sprintf("created the %s Harbor project %s/%s", r.host.set.Create, r.host.name, project)})
	return nil
}

// hasProject asks Harbor whether the project exists. known is false where it does not tell this login.
func (r *pusher) hasProject(ctx context.Context) (there, known bool, err error) {
	c := &call{op: "look for project", name: r.host.name + "/" + projectOf(r.repo), method: http.MethodHead, observe: r.observe, stay: true}
	a, err := r.api(ctx, c, "/api/v2.0/projects", url.Values{"project_name": {projectOf(r.repo)}}.Encode())
	if err != nil {
		return false, false, err
	}
	return a.status == http.StatusOK, a.status == http.StatusOK || a.status == http.StatusNotFound, nil
}

// unmade tells a refusal that only means that a Harbor project does not exist,
// which the push will make, from one that means what it says.
func (r *pusher) unmade(ctx context.Context, err error) error {
	if r.host.set.Create == credential.CreateNothing || r.host.product() != "harbor" || !fault.Is(err, fault.Denied) {
		return err
	}
	there, known, askErr := r.hasProject(ctx)
	if askErr != nil || there || !known {
		return err
	}
	return &fault.Fault{Kind: fault.NotFound, Op: "resolve", Name: r.repo.String(), Err: fmt.Errorf("there is no project %s yet", projectOf(r.repo))}
}

// projectOf is the first component of a path: Harbor's project.
func projectOf(repo ref.Repo) string {
	project, _, _ := strings.Cut(repo.Path, "/")
	return project
}
