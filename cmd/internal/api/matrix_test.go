package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
)

// callers lists the principals that send each request. The object of the request belongs to ann.
var callers = []string{"nobody", "expired", "revoked", "bob", "rita", "otto", "ann", "root"}

// expectation holds the status that one operation returns to each caller: bob has the same rights
// as ann but is another principal, rita is a reader, otto is a submitter of another project, ann owns
// the object, and root is an admin. Every other caller gets 401. body is the body of the request.
type expectation struct {
	bob, rita, otto, ann, root int
	body                       string
}

func (e expectation) of(caller string) int {
	switch caller {
	case "bob":
		return e.bob
	case "rita":
		return e.rita
	case "otto":
		return e.otto
	case "ann":
		return e.ann
	case "root":
		return e.root
	}
	return http.StatusUnauthorized
}

const (
	imports   = `{"source":"src/app:v1","target":"dst"}`
	transfers = `{"sources":["src/app"],"target":"dst/app"}`
)

// expected has one line for each operation. The test fails if an operation is missing here.
var expected = map[string]expectation{
	"import":      {202, 403, 403, 202, 202, imports},
	"copy":        {202, 403, 403, 202, 202, `{"source":"src/app:v1","targets":["dst/app:v1"]}`},
	"tag":         {202, 403, 403, 202, 202, `{"image":"src/app:v1","tags":["v2"]}`},
	"batch":       {202, 403, 403, 202, 202, `{"target":"dst","entries":[{"source":"src/app:v1"}]}`},
	"transfer":    {202, 403, 403, 202, 202, transfers},
	"verify":      {202, 202, 403, 202, 202, transfers},
	"plan":        {202, 202, 403, 202, 202, `{"import":` + imports + `}`},
	"upload-plan": {202, 403, 202, 202, 202, "{\"plan\":1,\"verb\":\"copy\",\"overwrite\":\"update\"}\n{\"end\":true}\n"}, // the access rules are checked when the plan is applied
	"apply":       {404, 403, 404, 202, 202, `{}`},
	"get-plan":    {404, 404, 404, 200, 200, ""},

	"list-jobs":  {200, 200, 200, 200, 200, ""}, // each caller sees only its own
	"get-job":    {404, 404, 404, 200, 200, ""},
	"get-report": {404, 404, 404, 200, 200, ""},
	"list-items": {404, 404, 404, 200, 200, ""},
	"get-log":    {404, 404, 404, 200, 200, ""},
	"watch-job":  {404, 404, 404, 200, 200, ""},
	"cancel-job": {404, 404, 404, 202, 202, ""},
	"delete-job": {404, 404, 404, 202, 202, ""},
	"retry-job":  {404, 404, 404, 409, 409, ""}, // 409 because the job is done and no step failed

	"list-schedules":  {200, 200, 200, 200, 200, ""}, // each caller sees only its own
	"make-schedule":   {201, 403, 403, 201, 201, ""},
	"get-schedule":    {404, 404, 404, 200, 200, ""},
	"change-schedule": {404, 403, 404, 200, 200, ""},
	"delete-schedule": {404, 403, 404, 204, 204, ""},
	"pause-schedule":  {404, 403, 404, 200, 200, ""},
	"resume-schedule": {404, 403, 404, 200, 200, ""},
	"run-schedule":    {404, 403, 404, 202, 202, ""},

	"list-workers":    {200, 200, 200, 200, 200, ""},
	"whoami":          {200, 200, 200, 200, 200, ""},
	"list-registries": {200, 200, 200, 200, 200, ""},
	"list-tokens":     {403, 403, 403, 403, 200, ""},
	"make-token":      {403, 403, 403, 403, 201, `{"principal":"eve","role":"admin"}`},
	"revoke-token":    {403, 403, 403, 403, 204, ""},
	"list-secrets":    {403, 403, 403, 403, 200, ""},
	"put-secret":      {403, 403, 403, 403, 204, `{"place":"reg.example","user":"u","password":"p"}`},
	"delete-secret":   {403, 403, 403, 403, 204, ""},
	"list-audit":      {403, 403, 403, 403, 200, ""},
	"get-audit-head":  {403, 403, 403, 403, 200, ""},
	"verify-audit":    {403, 403, 403, 403, 200, ""},
}

// operations returns the method and the path of each operation in the OpenAPI document that the
// server serves, by operation ID.
func operations(t *testing.T, y *yard) map[string][2]string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	resp, err := http.Get(y.server.URL + wire.Prefix + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.Unmarshal([]byte(readAll(t, resp)), &doc); err != nil {
		t.Fatal(err)
	}
	all := map[string][2]string{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			all[op.OperationID] = [2]string{strings.ToUpper(method), path}
		}
	}
	return all
}

func TestEveryRouteAnswersEveryCallerAsItShouldAndDeniesByDefault(t *testing.T) {
	y := newYard(t, settings{})
	y.image("app", "v1", 1)
	secret, _, err := y.access.NewToken(t.Context(), access.Token{Principal: "ann", Role: access.Submitter, Expires: y.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	y.tokens["expired"] = secret.Reveal()
	secret, token, err := y.access.NewToken(t.Context(), access.Token{Principal: "ann", Role: access.Admin})
	if err == nil {
		err = y.access.RevokeToken(t.Context(), "root", token.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	y.tokens["revoked"] = secret.Reveal()
	y.mu.Lock()
	y.clock = y.clock.Add(2 * time.Hour)
	y.mu.Unlock()

	done := y.done(wire.Request{Kind: wire.KindImport, Import: &wire.Import{Source: "src/app:v1", Target: "dst"}}, wire.Done)
	p := y.done(wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Import: &wire.Import{Source: "src/app:v1", Target: "dst"}}}, wire.Done)
	ops := operations(t, y)
	if len(ops) != len(expected) {
		t.Errorf("%d operations, %d expectations", len(ops), len(expected))
	}
	n := 0
	for id, op := range ops {
		want, known := expected[id]
		if !known {
			t.Errorf("%s %s (%s) has no expectation", op[0], op[1], id)
			continue
		}
		for _, who := range callers {
			path, body := y.subject(id, op[1], want.body, who, done.ID, p.ID)
			kind := "application/json"
			if id == "upload-plan" {
				kind = "application/jsonl"
			}
			resp, text := y.ask(who, op[0], path, body, "Content-Type", kind)
			n++
			if resp.StatusCode != want.of(who) {
				t.Errorf("%s %s by %s: %d, want %d: %s", op[0], path, who, resp.StatusCode, want.of(who), text)
			}
			if resp.StatusCode >= 400 && (resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(text, `"kind":`)) {
				t.Errorf("%s by %s: %v %s", id, who, resp.Header, text)
			}
			if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s by %s: no challenge", id, who)
			}
		}
	}
	t.Logf("%d requests", n)
}

// subject returns the path and the body of one request, which is about an object of ann's. An
// operation that changes or deletes its object gets a new object for each caller.
func (y *yard) subject(id, path, body, who, done, plan string) (string, string) {
	y.t.Helper()
	thing := done
	schedule := fmt.Sprintf(`{"name":%q,"cron":"@daily","request":{"kind":"import","import":%s}}`, id+"-by-"+who, imports)
	switch {
	case id == "apply" || id == "get-plan":
		thing = plan
	case id == "make-schedule":
		body = schedule
	case strings.HasSuffix(id, "-schedule"):
		s, err := y.client("ann").PutSchedule(y.t.Context(), "", wire.ScheduleRequest{Name: id + "-of-ann-for-" + who, Cron: "@yearly", Request: importing("src/app:v1")})
		if err != nil {
			y.t.Fatal(err)
		}
		thing = s.ID
		if id == "change-schedule" {
			body = schedule
		}
	case id == "revoke-token":
		_, token, err := y.access.NewToken(y.t.Context(), access.Token{Principal: "eve", Role: access.Reader})
		if err != nil {
			y.t.Fatal(err)
		}
		thing = token.ID
	case id == "put-secret" || id == "delete-secret":
		thing = "kept"
		if err := y.access.PutSecret(y.t.Context(), "root", thing, "reg.example", credential.Login{User: "u", Password: credential.New("p")}); err != nil {
			y.t.Fatal(err)
		}
	}
	return strings.ReplaceAll(path, "{id}", thing), body
}

func TestWhatIsNoRouteIsAProblemToo(t *testing.T) {
	y := newYard(t, settings{idle: true})
	for _, path := range []string{"/", "/nothing", "/jobs/x/y", "/openapi.yaml", "/docs", "/schemas/Job.json"} {
		resp, text := y.ask("ann", http.MethodGet, path, "")
		if resp.StatusCode != http.StatusNotFound || !strings.Contains(text, `"kind":"invalid"`) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
	resp, _ := y.ask("ann", http.MethodPost, "/imports", imports, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin: %d", resp.StatusCode)
	}
	for header, bad := range map[string]string{"Idempotency-Key": strings.Repeat("k", 256), "Content-Type": "text/plain"} {
		if resp, text := y.ask("ann", http.MethodPost, "/imports", imports, header, bad); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %d %s", header, resp.StatusCode, text)
		}
	}
	if resp, text := y.ask("ann", http.MethodGet, "/jobs?limits=3", ""); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

func TestWhatIsWrongInARequestIsPointedAt(t *testing.T) {
	y := newYard(t, settings{idle: true})
	for _, tt := range []struct{ path, body, pointer, kind string }{
		{"/imports", `{"source":"src/app:v1","overwite":"update"}`, "/overwite", "invalid"},
		{"/batches", `{"entries":[{"source":"a"},{"source":"b","force":true}]}`, "/entries/1/force", "invalid"},
		{"/transfers", `{"sources":["src"],"target":"dst","selection":{"latest":-1}}`, "/selection/latest", "invalid"},
		{"/transfers", `{"sources":["src"],"target":"dst","selection":{"versions":"new"}}`, "", "invalid"},
		{"/imports", `{"source":"src/app:v1","overwrite":"sometimes"}`, "/overwrite", "invalid"},
		{"/imports", `{"source":"oci:/etc"}`, "", "refused"},
		{"/imports", `{"source":"http://127.0.0.1:1/app:v1","target":"dst"}`, "", "invalid"},
		{"/batches", `{"target":"dst","entries":[{"source":"oci:/var/lib"}]}`, "", "refused"},
		{"/plans", `{}`, "", "invalid"},
		{"/plans", `{"import":` + imports + `,"transfer":` + transfers + `}`, "", "invalid"},
		{"/verifications", `{"sources":["src/app"],"target":"dst/app","heal":true}`, "", "invalid"},
		{"/schedules", `{"name":"x","cron":"@daily","request":{"kind":"apply","apply":{"plan":"x"}}}`, "", "invalid"},
	} {
		resp, text := y.ask("root", http.MethodPost, tt.path, tt.body)
		var p wire.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || string(p.Kind) != tt.kind || resp.StatusCode >= 500 {
			t.Errorf("%s: %d %v %s", tt.body, resp.StatusCode, err, text)
		}
		if tt.pointer != "" && (len(p.Errors) == 0 || p.Errors[0].Pointer != tt.pointer || p.Errors[0].In != "body") {
			t.Errorf("%s: %s", tt.body, text)
		}
	}
	for body, hint := range map[string]string{
		`{"source":"src/app:v1","overwite":"update"}`:                           `unexpected property (did you mean "overwrite"?) (/overwite)`,
		`{"source":"src/app:v1","platform":{"only":["a/b"]}}`:                   `(did you mean "platforms"?)`,
		`{"source":"src/app:v1","source-registry":"src"}`:                       `(did you mean "sourceRegistry"?)`,
		`{"source":"src/app:v1","referrers":{"type":["a/b"]}}`:                  `(did you mean "types"?) (/referrers/type)`,
		`{"source":"src/app:v1","wholly":"different from all"}`:                 `unexpected property (/wholly)`,
		`{"source":"src/app:v1","sourceLogin":{"password":"p","username":"u"}}`: `(did you mean "user"?)`,
	} {
		_, text := y.ask("root", http.MethodPost, "/imports", body)
		var p wire.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || !strings.Contains(p.Detail, hint) {
			t.Errorf("%s: %s, want %s", body, text, hint)
		}
	}
	big := `{"source":"` + strings.Repeat("a", 2<<20) + `"}`
	if resp, text := y.ask("root", http.MethodPost, "/imports", big); resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(text, "too_large") {
		t.Errorf("%d %.200s", resp.StatusCode, text)
	}
}
