package arm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// parameters is ImportImageParameters of Microsoft.ContainerRegistry. It is the same in all
// api-versions from 2017-10-01 to 2026-03-01-preview.
type parameters struct {
	Source struct {
		ResourceID  string `json:"resourceId"`
		RegistryURI string `json:"registryUri"`
		SourceImage string `json:"sourceImage"`
		Credentials *struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"credentials"`
	} `json:"source"`
	TargetTags                 []string `json:"targetTags"`
	UntaggedTargetRepositories []string `json:"untaggedTargetRepositories"`
	Mode                       string   `json:"mode"`
}

var requestID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
})

// referrersHeader is a header that dray adds to the operation: what of that which refers to the image is imported with
// it. Its values are those of "referrers" in dray's own API. Azure imports none of it.
const referrersHeader = "X-Dray-Referrers"

// importImage submits an import as a job and answers with its operation.
func (h *handler) importImage(w http.ResponseWriter, r *http.Request, p access.Principal, at scope, to registry) {
	var in parameters
	if err := read(w, r, &in); err != nil {
		refuse(w, err)
		return
	}
	req, err := h.request(in, to)
	if err != nil {
		refuse(w, err)
		return
	}
	req.Referrers.Mode = r.Header.Get(referrersHeader)
	j, _, err := h.Submit(r.Context(), p, wire.Request{Kind: wire.KindImport, Import: &req}, key(r, to, in))
	if err != nil {
		refuse(w, err)
		return
	}
	h.operation(w, r, at, h.await(r.Context(), p, j))
}

// key returns the idempotency key of a POST, so that a retry after a lost answer returns the same job.
// Clients keep their request ID for such retries. The key also contains the body, because some
// clients keep the ID for other requests too.
func key(r *http.Request, to registry, in parameters) string {
	id := r.Header.Get("X-Ms-Client-Request-Id")
	if !requestID().MatchString(id) {
		return ""
	}
	if in.Source.Credentials != nil { // the key is stored, and must not help to guess the password
		c := *in.Source.Credentials
		c.Password = ""
		in.Source.Credentials = &c
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append([]byte(to.Host+"\x00"+r.Header.Get(referrersHeader)), raw...))
	return "arm " + strings.ToLower(id) + " " + hex.EncodeToString(sum[:12])
}

// request returns the parameters as the request of a job. Errors are Invalid.
func (h *handler) request(in parameters, to registry) (wire.Import, error) {
	req := wire.Import{
		Source:       in.Source.SourceImage,
		Target:       to.Host,
		Images:       in.TargetTags,
		Repositories: in.UntaggedTargetRepositories,
	}
	if req.Source == "" {
		return req, invalid("source.sourceImage is required")
	}
	switch id, uri := in.Source.ResourceID, in.Source.RegistryURI; {
	case (id == "") == (uri == ""):
		return req, invalid("source requires either resourceId or registryUri")
	case id != "":
		// The last segment of the ID is the name of the registry. The rest is dropped, because dray must
		// not store the subscription ID.
		path := segments(id)
		if !is(path, "subscriptions", "*", "resourceGroups", "*", "providers", namespace, "registries", "*") {
			return req, invalid("source.resourceId is not the ID of a container registry")
		}
		req.SourceRegistry = path[7]
		if known, ok := h.byName[strings.ToLower(path[7])]; ok {
			req.SourceRegistry = known.Host
		}
	case strings.Contains(uri, "@"):
		return req, invalid("source.registryUri must be a host; put the login in source.credentials")
	default:
		host := strings.TrimPrefix(strings.TrimPrefix(uri, "https://"), "http://")
		req.SourceRegistry = h.hostOf(strings.TrimSuffix(host, "/"))
	}
	switch strings.ToLower(in.Mode) {
	case "", "noforce":
		req.Overwrite = "refuse"
	case "force":
		req.Overwrite = "update"
	default:
		return req, invalid("mode must be Force or NoForce")
	}
	if c := in.Source.Credentials; c != nil {
		if c.Password == "" {
			return req, invalid("source.credentials.password is required")
		}
		l, err := credential.FromPassword(c.Username, c.Password)
		if err != nil {
			return req, err
		}
		req.SourceLogin = &wire.Login{Scheme: string(l.Scheme), User: l.User, Password: l.Password.Reveal()}
	}
	return req, nil
}

// await returns j when it has ended, or its state after Hold. Some clients poll only every 30 seconds,
// so they learn of the end much sooner if the answer waits a little.
func (h *handler) await(ctx context.Context, p access.Principal, j job.Job) job.Job {
	if j.State.Ended() || h.Hold < 0 {
		return j
	}
	leave, ok := h.Held.Take(p)
	if !ok {
		return j
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, h.Hold)
	defer cancel()
	for e, err := range h.Watch(ctx, j.ID, 0) {
		if err != nil {
			break // the job exists: answer with the last state that is known
		}
		if e.Kind == "state" || e.Kind == "ended" {
			var now job.Job
			if json.Unmarshal(e.Data, &now) == nil && now.ID == j.ID {
				j = now
			}
		}
		if j.State.Ended() {
			break
		}
	}
	return j
}

// operationResult answers a poll for the operation of a job.
func (h *handler) operationResult(w http.ResponseWriter, r *http.Request, p access.Principal, at scope, id string) {
	j, err := h.Visible(r.Context(), p, strings.TrimPrefix(id, operationPrefix))
	switch {
	case fault.Is(err, fault.NotFound):
		writeError(w, http.StatusNotFound, "OperationNotFound",
			"There is no operation with this id, or it belongs to another principal.")
	case err != nil:
		// The client repeats a poll that fails because of the server.
		refuse(w, err)
	default:
		h.operation(w, r, at, h.await(r.Context(), p, j))
	}
}

const operationPrefix = "registries-"

// operation answers with the state of j in the form of a long-running operation of container
// registries: 202 with an absolute Location while the job runs, 200 when it is done, and a 4xx if it
// failed. Every client takes a 200 for success, whatever the body says, and polls forever after a 5xx.
func (h *handler) operation(w http.ResponseWriter, r *http.Request, at scope, j job.Job) {
	w.Header().Set("X-Ms-Request-Id", j.ID)
	switch {
	case j.State == job.Done:
		answer(w, http.StatusOK, map[string]string{"status": "Succeeded"})
	case j.State.Ended():
		failed(w, j)
	default:
		version := url.QueryEscape(r.URL.Query().Get("api-version"))
		w.Header().Set("Location", h.base(r)+"/subscriptions/"+url.PathEscape(at.subscription)+
			"/providers/"+namespace+"/locations/"+location+
			"/operationResults/"+operationPrefix+j.ID+"?api-version="+version)
		w.Header().Set("Retry-After", "1")
		body := map[string]string{"status": "Accepted"}
		state := "Pending"
		if j.State == job.Running {
			state = "Running"
		}
		for _, name := range targets(j) {
			body[name] = state
		}
		answer(w, http.StatusAccepted, body)
	}
}

// targets returns the target names of an import, as the client wrote them.
func targets(j job.Job) []string {
	var req wire.Request
	if json.Unmarshal(j.Request, &req) != nil || req.Import == nil {
		return nil
	}
	return append(req.Import.Images, req.Import.Repositories...)
}

// codes holds the status and the error code for each Kind of a failed job. It contains no status after
// which a client polls again (408, 429, 5xx) or logs in again (401).
var codes = map[fault.Kind]struct {
	status int
	code   string
}{
	fault.Invalid:     {http.StatusBadRequest, "InvalidParameters"},
	fault.NotFound:    {http.StatusNotFound, "ManifestUnknown"},
	fault.Denied:      {http.StatusBadRequest, "Unauthorized"},
	fault.Conflict:    {http.StatusConflict, "Conflict"},
	fault.Moved:       {http.StatusConflict, "Conflict"},
	fault.Refused:     {http.StatusBadRequest, "InvalidParameters"},
	fault.TooLarge:    {http.StatusBadRequest, "InvalidParameters"},
	fault.Full:        {http.StatusBadRequest, "QuotaExceeded"},
	fault.Throttled:   {http.StatusFailedDependency, "TooManyRequests"},
	fault.Unavailable: {http.StatusFailedDependency, "RegistryUnavailable"},
	fault.Corrupt:     {http.StatusBadRequest, "ContentMismatch"},
	fault.Canceled:    {http.StatusConflict, "OperationCanceled"},
	fault.Internal:    {http.StatusBadRequest, "InternalError"},
}

// failed answers with the failure of a job that has ended.
func failed(w http.ResponseWriter, j job.Job) {
	f := job.Failure{Kind: fault.Internal, Text: "the job ended in the state " + string(j.State)}
	if j.Failure != nil {
		f = *j.Failure
	} else if j.State == job.Canceled {
		f = job.Failure{Kind: fault.Canceled, Text: "the job was canceled"}
	}
	as, ok := codes[f.Kind]
	if !ok {
		as = codes[fault.Internal]
	}
	text := f.Text
	if f.Kind == fault.Conflict && !strings.Contains(text, "already exists") {
		// Scripts search the message for these words.
		text = "Tag already exists in target registry, or may not be changed: " + text
	}
	if f.Hint != "" {
		text += " (hint: " + f.Hint + ")"
	}
	writeError(w, as.status, as.code, "Operation "+operationPrefix+j.ID+" failed. "+text)
}
