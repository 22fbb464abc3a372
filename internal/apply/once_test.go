package apply_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

const baseSize = 5 << 20

// pullYard is a Docker Hub that counts pulls, and a target.
type pullYard struct {
	*yard.Yard
	limit  *beside.PullLimit
	limits dray.Limits
	base   string // the layer that all images of fill have in common
}

const dstHost = "127.0.0.1:5002"

// inPullYard runs test in virtual time. front stands before the target; nil means nothing.
func inPullYard(t *testing.T, limits dray.Limits, front func(http.Handler) http.Handler, test func(y *pullYard)) {
	t.Helper()
	stores := []http.Handler{testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})}
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) })
		y := &pullYard{limit: &beside.PullLimit{Limit: 100, Window: 6 * time.Hour}, limits: limits}
		hub := testbed.Serve(t, stores[0], testbed.Options{Wire: testbed.Pipes, Host: "registry-1.docker.io", Front: y.limit.Front})
		dst := testbed.Serve(t, stores[1], testbed.Options{Wire: testbed.Pipes, Host: dstHost, Front: front})
		y.Yard = &yard.Yard{T: t, Src: hub, Dst: dst}
		y.restart("")
		test(y)
	})
}

// inFilledYard is inPullYard with eight images on one base layer. They are docker.io/library/r0:v0 to
// r7:v7, and docker.io/library/all:v0 to v7.
func inFilledYard(t *testing.T, limits dray.Limits, front func(http.Handler) http.Handler, test func(y *pullYard)) {
	t.Helper()
	inPullYard(t, limits, front, func(y *pullYard) {
		base, err := io.ReadAll(testbed.Noise(1, baseSize))
		if err != nil {
			y.T.Fatal(err)
		}
		for i := range 8 {
			for _, repo := range []string{fmt.Sprint("library/r", i), "library/all"} {
				y.store(repo, fmt.Sprint("v", i), base, fmt.Appendf(nil, "layer %d", i))
			}
		}
		test(y)
	})
}

// store stores an image at Docker Hub. Its first layer is base.
func (y *pullYard) store(repo, tag string, base, own []byte) {
	y.T.Helper()
	layers := []v1.Descriptor{y.Src.Blob(y.T, repo, v1.MediaTypeImageLayer, base), y.Src.Blob(y.T, repo, v1.MediaTypeImageLayer, own)}
	raw, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    y.Src.Blob(y.T, repo, v1.MediaTypeImageConfig, fmt.Appendf(nil, "{%q:%q}", "architecture", own)),
		Layers:    layers,
	})
	if err != nil {
		y.T.Fatal(err)
	}
	y.Src.Manifest(y.T, repo, tag, v1.MediaTypeImageManifest, raw)
	y.base = layers[0].Digest.String()
}

// restart begins a new process, which uses the state directory state.
func (y *pullYard) restart(state string) {
	y.T.Helper()
	d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}, Limits: y.limits, StateDir: state,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.TrimSuffix(addr, ":80") == y.Src.Host {
				return y.Src.Dial(ctx, network, addr)
			}
			return y.Dst.Dial(ctx, network, addr)
		}})
	if err != nil {
		y.T.Fatal(err)
	}
	y.T.Cleanup(d.Close)
	y.Dray = d
	y.Forget()
	y.limit.Refill()
}

// brought returns how often the base was read from Docker Hub, sent to the target and mounted there.
func (y *pullYard) brought() (read, sent, mounted int) {
	for _, q := range y.Src.Log() {
		if q.Method == http.MethodGet && strings.HasSuffix(q.Path, "/blobs/"+y.base) {
			read++
		}
	}
	for _, q := range y.Dst.Log() {
		query, err := url.ParseQuery(q.RawQuery)
		switch {
		case err != nil:
			y.T.Fatal(err)
		case q.In >= baseSize && q.Status < 300:
			sent++
		case query.Get("mount") == y.base && q.Status == http.StatusCreated:
			mounted++
		}
	}
	return read, sent, mounted
}

func (y *pullYard) want(read, sent, mounted int) {
	y.T.Helper()
	if r, s, m := y.brought(); r != read || s != sent || m != mounted {
		y.T.Errorf("the base was read %d times, sent %d times and mounted %d times, want %d, %d and %d\n%s\n%s",
			r, s, m, read, sent, mounted, y.Src.Story(), y.Dst.Story())
	}
}

// list is a list of the eight images, each to a repository of its own.
func list() dray.BatchRequest {
	var req dray.BatchRequest
	for i := range 8 {
		req.Entries = append(req.Entries, dray.BatchEntry{Source: fmt.Sprintf("docker.io/library/r%d:v%d", i, i), Targets: []string{fmt.Sprintf("%s/r%d:v%d", dstHost, i, i)}})
	}
	return req
}

func (y *pullYard) batch() (dray.Report, error) {
	y.T.Helper()
	return y.Applied(y.PlanBatch(y.T.Context(), list(), nil))
}

func repositories(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("to/r", i))
	}
	return names
}

func TestALayerThatImagesOfOneCommandShareIsReadOnceAndSentOnce(t *testing.T) {
	within := func(registry string, paths []string) (names []string) {
		for _, p := range paths {
			names = append(names, registry+"/"+p)
		}
		return names
	}
	for name, c := range map[string]struct {
		pulls, mounts int
		run           func(y *pullYard) (int, error) // returns the pulls of the report
	}{
		"batch": {8, 7, func(y *pullYard) (int, error) {
			rep, err := y.batch()
			return rep.Pulls["docker.io"].Spent, err
		}},
		"copy to many targets": {1, 7, func(y *pullYard) (int, error) {
			rep, err := y.Copy(dray.CopyRequest{Source: "docker.io/library/r0:v0", Targets: within(dstHost, repositories(8))})
			return rep.Pulls["docker.io"].Spent, err
		}},
		"copy of all tags": {8, 0, func(y *pullYard) (int, error) {
			rep, err := y.Copy(dray.CopyRequest{Source: "docker.io/library/all", Tags: dray.AllTags, Targets: []string{dstHost + "/all"}})
			return rep.Pulls["docker.io"].Spent, err
		}},
		"copy of all tags to many targets": {8, 1, func(y *pullYard) (int, error) {
			rep, err := y.Copy(dray.CopyRequest{Source: "docker.io/library/all", Tags: dray.AllTags, Targets: within(dstHost, repositories(2))})
			return rep.Pulls["docker.io"].Spent, err
		}},
		"import": {1, 7, func(y *pullYard) (int, error) {
			rep, err := y.Import(dray.ImportRequest{Source: "docker.io/library/r0:v0", Target: dstHost, Images: repositories(4), Repositories: []string{"a", "b", "c", "d"}})
			return rep.Pulls["docker.io"].Spent, err
		}},
		"plan file": {8, 7, func(y *pullYard) (int, error) {
			_, sum, err := y.FromFile(y.file(y.PlanBatch(y.T.Context(), list(), nil)), false)
			return sum.Pulls["docker.io"].Spent, err
		}},
		"transfer": {8, 7, func(y *pullYard) (int, error) {
			req := dray.TransferRequest{Target: dstHost + "/mirror/"}
			for _, e := range list().Entries {
				req.Sources = append(req.Sources, strings.Split(e.Source, ":v")[0])
			}
			_, sum, err := y.Transferred(req)
			return sum.Pulls["docker.io"].Spent, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inFilledYard(t, dray.Limits{}, nil, func(y *pullYard) {
				spent, err := c.run(y)
				if err != nil || spent != y.limit.Used() || spent != c.pulls {
					y.T.Errorf("%v; the report has %d pulls, the registry counted %d, want %d", err, spent, y.limit.Used(), c.pulls)
				}
				y.want(1, 1, c.mounts)
			})
		})
	}
}

func TestWithOnePlaceForBlobsImagesThatShareALayerStillEnd(t *testing.T) {
	inFilledYard(t, dray.Limits{Blobs: 1, Connections: 1}, nil, func(y *pullYard) {
		y.Must(y.batch())
		y.want(1, 1, 7)
	})
}

func TestAFirstSenderThatIsSlowIsWaitedFor(t *testing.T) {
	slow := hostile.StopReading(baseSize/2, 20*time.Second).When(func(req *http.Request) bool { return req.ContentLength >= baseSize }).Once()
	inFilledYard(t, dray.Limits{}, func(next http.Handler) http.Handler { return hostile.Wrap(next, slow) }, func(y *pullYard) {
		began := time.Now()
		rep := y.Must(y.batch())
		if took := time.Since(began); rep.Count(dray.Done) != 8 || slow.Fired() != 1 || took < 20*time.Second || took > time.Minute {
			y.T.Errorf("%s after %s", yard.States(rep), took)
		}
		y.want(1, 1, 7)
	})
}

func TestAfterAFirstSenderThatFailsTheNextSends(t *testing.T) {
	full := hostile.Status(http.StatusInsufficientStorage, nil, "").When(func(req *http.Request) bool {
		return (req.Method == http.MethodPut || req.Method == http.MethodPatch) && req.ContentLength >= baseSize
	}).Times(1)
	inFilledYard(t, dray.Limits{}, func(next http.Handler) http.Handler { return hostile.Wrap(next, full) }, func(y *pullYard) {
		rep, err := y.batch()
		if !fault.Is(err, fault.Full) || rep.Count(dray.Done) != 7 || rep.Count(dray.Failed) != 1 {
			y.T.Errorf("%v %s", err, yard.States(rep))
		}
		if _, sent, mounted := y.brought(); sent > 2 || mounted != 6 {
			y.T.Errorf("sent %d times, mounted %d times\n%s", sent, mounted, y.Dst.Story())
		}
	})
}

func TestF66EveryImageArrivesWhereMountsAreRefused(t *testing.T) {
	for _, code := range []int{http.StatusAccepted, http.StatusForbidden, http.StatusNotFound, http.StatusInternalServerError} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			refuses := func(next http.Handler) http.Handler { return hostile.Wrap(next, hostile.MountAnswers(code)) }
			inFilledYard(t, dray.Limits{}, refuses, func(y *pullYard) {
				rep := y.Must(y.batch())
				if rep.Count(dray.Done) != 8 {
					y.T.Error(yard.States(rep))
				}
				y.want(8, 8, 0)
			})
		})
	}
}

func TestLayersOfATargetThatHasTheImageAreMountedIntoTheOthers(t *testing.T) {
	inFilledYard(t, dray.Limits{}, nil, func(y *pullYard) {
		y.Must(y.Copy(dray.CopyRequest{Source: "docker.io/library/r0:v0", Targets: []string{dstHost + "/one"}}))
		y.restart("")
		both := dray.CopyRequest{Source: "docker.io/library/r0:v0", Targets: []string{dstHost + "/one", dstHost + "/two"}}
		if e := y.estimate(y.file(y.PlanCopy(y.T.Context(), both, nil))); e.Sent != 0 || e.Mounted != 3 {
			y.T.Errorf("estimated %+v", e)
		}
		rep := y.Must(y.Copy(both))
		if got := yard.States(rep); got != "one:v0 unchanged, two:v0 done" || y.Src.Count(http.MethodGet, testbed.Blob) != 0 {
			y.T.Errorf("%s\n%s", got, y.Src.Story())
		}
		y.want(0, 0, 1)
	})
}

func TestWhatOneCommandSentIsMountedByTheNext(t *testing.T) {
	state := t.TempDir()
	inFilledYard(t, dray.Limits{}, nil, func(y *pullYard) {
		for i, e := range list().Entries[:3] {
			y.restart(state)
			y.Must(y.Copy(dray.CopyRequest{Source: e.Source, Targets: e.Targets}))
			if i == 0 {
				y.want(1, 1, 0)
			} else {
				y.want(0, 0, 1)
			}
		}
	})
}

// What a command for three tags says it cost is what the registry counted, and it is never more than
// three commands cost.
func TestOneCommandForManyTagsPullsEachManifestOnce(t *testing.T) {
	const distinct, apart = 3 + 4, 3 + 4 + 5 // each index has the images of the smaller ones, and one more
	for name, c := range map[string]struct {
		pulls int
		run   func(y *pullYard) (int, error)
	}{
		"three commands": {apart, func(y *pullYard) (spent int, err error) {
			for n := 2; n <= 4 && err == nil; n++ {
				var rep dray.Report
				rep, err = y.Copy(dray.CopyRequest{Source: fmt.Sprintf("docker.io/library/index:v%d", n), Targets: []string{dstHost + "/index"}})
				spent += rep.Pulls["docker.io"].Spent
			}
			return spent, err
		}},
		"copy of all tags": {distinct, func(y *pullYard) (int, error) {
			rep, err := y.Copy(indexes())
			return rep.Pulls["docker.io"].Spent, err
		}},
		"all or nothing": {distinct, func(y *pullYard) (int, error) {
			req := indexes()
			req.Hold = plan.All
			rep, err := y.Copy(req)
			return rep.Pulls["docker.io"].Spent, err
		}},
		"import": {distinct, func(y *pullYard) (int, error) {
			rep, err := y.Import(dray.ImportRequest{Source: "docker.io/library/index", Tags: []string{"v2", "v3", "v4"}, Target: dstHost})
			return rep.Pulls["docker.io"].Spent, err
		}},
		"batch": {distinct, func(y *pullYard) (int, error) {
			var req dray.BatchRequest
			for n := 2; n <= 4; n++ {
				req.Entries = append(req.Entries, dray.BatchEntry{Source: fmt.Sprintf("docker.io/library/index:v%d", n), Targets: []string{fmt.Sprintf("%s/i%d", dstHost, n)}})
			}
			rep, err := y.Applied(y.PlanBatch(y.T.Context(), req, nil))
			return rep.Pulls["docker.io"].Spent, err
		}},
		"transfer": {distinct, func(y *pullYard) (int, error) {
			_, sum, err := y.Transferred(dray.TransferRequest{Sources: []string{"docker.io/library/index"}, Target: dstHost + "/index"})
			return sum.Pulls["docker.io"].Spent, err
		}},
		"plan file": {distinct, func(y *pullYard) (int, error) {
			_, sum, err := y.FromFile(y.file(y.PlanCopy(y.T.Context(), indexes(), nil)), false)
			return sum.Pulls["docker.io"].Spent, err
		}},
		"plan cost": {distinct, func(y *pullYard) (int, error) {
			e := y.estimate(y.file(y.PlanCopy(y.T.Context(), indexes(), nil)))
			return e.Registries["docker.io"].Pulls, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inPullYard(t, dray.Limits{}, nil, func(y *pullYard) {
				for n := 2; n <= 4; n++ {
					testbed.Index(y.T, y.Src, "library/index", fmt.Sprint("v", n), n)
				}
				spent, err := c.run(y)
				if err != nil || spent != y.limit.Used() || spent != c.pulls {
					y.T.Errorf("%v; the report has %d pulls, the registry counted %d, want %d\n%s", err, spent, y.limit.Used(), c.pulls, y.Src.Story())
				}
			})
		})
	}
}

// indexes asks for three indexes that have images in common.
func indexes() dray.CopyRequest {
	return dray.CopyRequest{Source: "docker.io/library/index", Tags: dray.AllTags, Targets: []string{dstHost + "/index"}}
}

// file returns a plan as the bytes of its file.
func (y *pullYard) file(p *dray.Prepared, err error) []byte {
	y.T.Helper()
	var file bytes.Buffer
	if err == nil {
		err = p.Write(&file)
	}
	if err != nil {
		y.T.Fatal(err)
	}
	return file.Bytes()
}

// estimate returns what a plan file would cost.
func (y *pullYard) estimate(file []byte) dray.Estimate {
	y.T.Helper()
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		y.T.Fatal(err)
	}
	e, err := y.Estimate(y.T.Context(), dray.EstimateRequest{Plan: r}, nil)
	if err != nil || len(e.Unknown) > 0 {
		y.T.Fatal(err, e.Unknown)
	}
	return e
}
