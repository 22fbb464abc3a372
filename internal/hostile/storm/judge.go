package storm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

// Judge fails the test unless err is the one that the case wants, and unless everything is true that must be
// true whatever happens. Without traffic it does not compare the report with the logs of the registries.
func (x *World) Judge(traffic map[string]dray.Traffic, err error) {
	x.tb.Helper()
	for _, problem := range slices.Concat(x.ended(err), x.Broken(traffic, err)) {
		x.tb.Error(problem)
	}
	if x.tb.Failed() {
		x.tb.Logf("%v\nsource:\n%s\ntarget:\n%s", err, x.Source.Story(), x.Target.Story())
	}
}

// ended compares err with what a World of one case wants.
func (x *World) ended(err error) (problems []string) {
	c := x.cases[0]
	several := x.Work == Transfer || x.Work == Job
	perhaps := several && c.Perhaps != "" && fault.KindOf(err) == c.Perhaps && fault.SideOf(err) == c.Side
	if kind, side := c.Wants(x.Work); !perhaps && (fault.KindOf(err) != kind || fault.SideOf(err) != side) {
		problems = append(problems, fmt.Sprintf("it ended with %q %q, want %q %q: %v (hint: %s)",
			fault.SideOf(err), fault.KindOf(err), side, kind, err, fault.HintOf(err)))
	}
	if c.Fired() != c.Meets(x.Work) {
		problems = append(problems, fmt.Sprintf("it fired: %v, want %v", c.Fired(), c.Meets(x.Work)))
	}
	return problems
}

// Broken lists the promises that do not hold after a work that ended with err.
func (x *World) Broken(traffic map[string]dray.Traffic, err error) (problems []string) {
	time.Sleep(time.Minute) // a registry notes a request that was cut when it notices
	x.mu.Lock()
	problems = append(problems, x.early...)
	for _, c := range x.cases {
		if c.Side == source && len(x.wrong) > 0 {
			problems = append(problems, fmt.Sprintf("bytes were committed that are not those of their digest: %v", x.wrong))
		}
	}
	x.mu.Unlock()
	problems = append(problems, x.tags(err == nil)...)
	problems = append(problems, x.leaks()...)
	for _, r := range []*testbed.Registry{x.Source, x.Target} {
		if traffic != nil {
			problems = append(problems, x.counts(traffic[r.Host], r, err != nil)...)
		}
	}
	return problems
}

// tags compares the tags of the target with those before the work and those of the source. Each must be
// whole.
func (x *World) tags(all bool) (problems []string) {
	now := map[string]string{}
	for _, repo := range []string{"one/app", "many/app", "team/a", "team/b", "still/app"} {
		var list struct{ Tags []string }
		x.read("/v2/"+repo+"/tags/list", &list)
		for _, tag := range list.Tags {
			d, torn := x.walk(repo, tag)
			now[repo+":"+tag] = d
			if torn != "" {
				problems = append(problems, repo+":"+tag+" is not whole: "+torn)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.before)) {
		if now[name] == "" {
			problems = append(problems, name+" is gone")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		arrived := slices.Contains(names(x.Work), name) && now[name] == x.stage.digests[name]
		if now[name] != x.before[name] && !arrived {
			problems = append(problems, fmt.Sprintf("%s is %s, was %q", name, now[name], x.before[name]))
		}
	}
	for _, name := range names(x.Work) {
		if all && now[name] != x.stage.digests[name] {
			problems = append(problems, fmt.Sprintf("exit 0, and %s is %q", name, now[name]))
		}
	}
	return problems
}

// walk reads a tag of the target with everything below it, behind the faults. torn says what is missing or wrong.
func (x *World) walk(repo, tag string) (root, torn string) {
	var raw bytes.Buffer
	resp := x.Target.Direct(x.tb, http.MethodGet, "/v2/"+repo+"/manifests/"+tag, testbed.EveryType(), nil, &raw)
	if resp.StatusCode != http.StatusOK {
		return "", resp.Status
	}
	doc, err := testbed.ReadDocument(raw.Bytes())
	if err != nil {
		return "", err.Error()
	}
	root = digest.FromBytes(raw.Bytes()).String()
	for _, d := range doc.Manifests {
		if got, torn := x.walk(repo, d.Digest.String()); got != d.Digest.String() || torn != "" {
			return root, fmt.Sprintf("%s is %q %s", d.Digest, got, torn)
		}
	}
	for _, d := range doc.Blobs() {
		if !x.has(repo, d) {
			return root, "blob " + d.Digest.String()
		}
	}
	return root, ""
}

// has reports whether the target has a blob of that size. It verified the digest when the upload ended.
func (x *World) has(repo string, d v1.Descriptor) bool {
	resp := x.Target.Direct(x.tb, http.MethodHead, "/v2/"+repo+"/blobs/"+d.Digest.String(), nil, nil, nil)
	return resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Length") == strconv.FormatInt(d.Size, 10)
}

func (x *World) read(path string, v any) {
	var body bytes.Buffer
	if x.Target.Direct(x.tb, http.MethodGet, path, nil, nil, &body).StatusCode == http.StatusOK {
		if err := json.Unmarshal(body.Bytes(), v); err != nil {
			x.tb.Fatal(err)
		}
	}
}

// leaks lists the credentials that left their host.
func (x *World) leaks() (problems []string) {
	for _, heard := range x.away.Credentials() {
		problems = append(problems, "elsewhere heard "+heard)
	}
	home := map[string]string{}
	for _, r := range []*testbed.Registry{x.Source, x.Target} {
		for _, q := range r.Log() {
			said := q.Header.Get("Authorization")
			if at, ok := home[said]; said != "" && ok && at != r.Host {
				problems = append(problems, fmt.Sprintf("%s %s of %s has a credential of %s", q.Method, q.Path, r.Host, at))
			}
			home[said] = r.Host
		}
	}
	return problems
}

// counts compares the report with what a registry counted. If a work fails, it cancels what it has begun: a
// request may then not have arrived, a body not have been read.
func (x *World) counts(got dray.Traffic, r *testbed.Registry, failed bool) (problems []string) {
	var in, out, lost int64
	for _, q := range r.Log() {
		in += q.In
		switch {
		case q.Method == http.MethodHead: // the handler's body is counted, but not sent
		case q.Kind == testbed.Upload && q.Status >= http.StatusBadRequest: // to a client that may have ended its upload
			lost += q.Out
		default:
			out += q.Out
		}
	}
	exempt := slices.ContainsFunc(x.cases, func(c Case) bool { return c.Unequal != "" })
	repeated := slices.ContainsFunc(x.cases, func(c Case) bool { return c.Repeated })
	requests := got.Requests == r.Requests() || repeated
	bytes := got.Sent == in && got.Received >= out && got.Received <= out+lost
	if failed {
		requests = got.Requests >= r.Requests() || repeated
	}
	if failed {
		bytes = got.Sent >= in && got.Received <= out+lost
	}
	if !requests || !bytes && !exempt {
		problems = append(problems, fmt.Sprintf(
			"the report has %d requests, %d bytes sent and %d received of %s, which counted %d, %d and %d",
			got.Requests, got.Sent, got.Received, r.Host, r.Requests(), in, out))
	}
	return problems
}

// Complete fails the test unless the work, which was done again after Calm and ended with err, has completed what
// was to be copied.
func (x *World) Complete(err error) {
	x.tb.Helper()
	if err != nil {
		x.tb.Errorf("after the fault: %v (hint: %s)", err, fault.HintOf(err))
	}
	for _, problem := range slices.Concat(x.tags(true), x.leaks()) {
		x.tb.Error("after the fault:", problem)
	}
	if x.tb.Failed() {
		x.tb.Logf("all requests:\nsource:\n%s\ntarget:\n%s", x.Source.Story(), strings.TrimSpace(x.Target.Story()))
	}
}
