package world

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"

	"pgregory.net/rapid"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

// faults has what can go wrong, each with the side at which it happens. The argument is an offset in bytes.
func faults() map[string]func(at int64) *hostile.Fault {
	all := map[string]func(int64) *hostile.Fault{}
	for name, f := range sourceFaults() {
		all["source: "+name] = f
	}
	for name, f := range targetFaults() {
		all["target: "+name] = f
	}
	return all
}

func sourceFaults() map[string]func(at int64) *hostile.Fault {
	const blob, manifest = testbed.Blob, testbed.Manifest
	return map[string]func(int64) *hostile.Fault{
		"a download is reset":        hostile.CutBodyAt,
		"a bit is flipped":           hostile.FlipBit,
		"a body ends early":          hostile.CleanEOFAt,
		"a body is longer":           func(int64) *hostile.Fault { return hostile.LongerBody(3) },
		"a body is endless":          func(int64) *hostile.Fault { return hostile.EndlessBody(100_000) },
		"a download stalls":          func(at int64) *hostile.Fault { return hostile.StallAt(at, 0) },
		"no answer":                  func(int64) *hostile.Fault { return hostile.NoHeader(0).On("GET", blob) },
		"a range is ignored":         func(int64) *hostile.Fault { return hostile.IgnoreRange() },
		"another range":              func(int64) *hostile.Fault { return hostile.WrongContentRange() },
		"429":                        func(int64) *hostile.Fault { return hostile.TooMany("2").On("GET", "") },
		"502 to anything":            func(int64) *hostile.Fault { return hostile.Status(502, nil, "") },
		"503 to a blob":              status(503, "GET", blob),
		"500 to a manifest":          status(500, "GET", manifest),
		"the answer to a manifest":   lost("GET", manifest),
		"500 to questions of tags":   status(500, "HEAD", manifest),
		"503 to a list of tags":      status(503, "GET", testbed.Tags),
		"500 to a list of all":       status(500, "GET", testbed.Catalog),
		"500 to a list of referrers": status(500, "GET", testbed.Referrer),
		"503 to a token":             status(503, "", testbed.Token),
		"a token is refused":         func(int64) *hostile.Fault { return hostile.Early401() },
		"no digest in answers":       func(int64) *hostile.Fault { return hostile.NoDigestHeader() },
	}
}

func targetFaults() map[string]func(at int64) *hostile.Fault {
	const blob, manifest, upload = testbed.Blob, testbed.Manifest, testbed.Upload
	return map[string]func(int64) *hostile.Fault{
		"an upload is reset":             hostile.CutRequestAt,
		"a session is lost":              hostile.DropRequestAt,
		"it stops reading":               func(at int64) *hostile.Fault { return hostile.StopReading(at, 0) },
		"503 to a new upload":            status(503, "POST", upload),
		"500 to the end":                 status(500, "PUT", upload),
		"the answer to an end":           lost("PUT", upload),
		"the answer to a piece":          lost("PATCH", upload),
		"the answer to a begin":          lost("POST", upload),
		"nothing is mounted":             func(int64) *hostile.Fault { return hostile.MountAnswers(202) },
		"404 to a mount":                 func(int64) *hostile.Fault { return hostile.MountAnswers(404) },
		"429 to a manifest":              func(int64) *hostile.Fault { return hostile.TooMany("1").On("PUT", manifest) },
		"500 to a manifest":              status(500, "PUT", manifest),
		"the answer to a manifest":       lost("PUT", manifest),
		"201 without a word":             func(int64) *hostile.Fault { return hostile.Lying201("").On("PUT", manifest) },
		"a token is refused":             func(int64) *hostile.Fault { return hostile.Early401() },
		"503 to a token":                 status(503, "", testbed.Token),
		"no digest in answers":           func(int64) *hostile.Fault { return hostile.NoDigestHeader() },
		"502 to anything":                func(int64) *hostile.Fault { return hostile.Status(502, nil, "") },
		"429 to anything":                func(int64) *hostile.Fault { return hostile.TooMany("") },
		"500 to a list of tags":          status(500, "GET", testbed.Tags),
		"500 to a list of referrers":     status(500, "GET", testbed.Referrer),
		"500 to questions of tags":       status(500, "HEAD", manifest),
		"500 to questions of blobs":      status(500, "HEAD", blob),
		"503 to a manifest that is read": status(503, "GET", manifest),
	}
}

func status(code int, method string, kind testbed.Kind) func(int64) *hostile.Fault {
	return func(int64) *hostile.Fault { return hostile.Status(code, nil, "").On(method, kind) }
}

func lost(method string, kind testbed.Kind) func(int64) *hostile.Fault {
	return func(int64) *hostile.Fault { return hostile.LoseAnswer().On(method, kind) }
}

func drawFault(t *rapid.T) Fault {
	var all []string
	for name := range faults() {
		all = append(all, name)
	}
	slices.Sort(all) // the order of a map changes; the draw must not
	return Fault{
		Name:    rapid.SampledFrom(all).Draw(t, "fault"),
		At:      rapid.Int64Range(0, 40_000).Draw(t, "at"),
		Percent: rapid.IntRange(1, 25).Draw(t, "percent"),
		Dice:    rapid.Uint64().Draw(t, "dice"),
	}
}

// until returns the fault, which fires until calm is closed.
func (f Fault) until(calm <-chan struct{}) *hostile.Fault {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(f.Dice, 1))
	return faults()[f.Name](f.At).When(func(*http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		select {
		case <-calm:
			return false
		default:
			return dice.IntN(100) < f.Percent
		}
	})
}

// has reports whether one of these faults is drawn.
func (w World) has(names ...string) bool {
	return slices.ContainsFunc(w.Faults, func(f Fault) bool { return slices.Contains(names, f.Name) })
}

// at returns the faults of a side.
func (w World) at(side string, calm <-chan struct{}) (all []*hostile.Fault) {
	for _, f := range w.Faults {
		if strings.HasPrefix(f.Name, side+":") {
			all = append(all, f.until(calm))
		}
	}
	return all
}
