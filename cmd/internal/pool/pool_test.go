package pool_test

import (
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

func TestAHostCountsBeforeAPatternAndALongPatternBeforeAShortOne(t *testing.T) {
	p := pool.Pools{
		"zone-a": {"*.example", "one.b.example:5000"},
		"zone-b": {"*.b.example", "10.0.0.7:5000"},
	}
	for host, want := range map[string]string{
		"docker.io": "", "example": "", "r.example": "zone-a", "r.example:5000": "zone-a", "deep.r.example": "zone-a",
		"r.b.example": "zone-b", "one.b.example": "zone-b", "one.b.example:5000": "zone-a", "10.0.0.7:5000": "zone-b", "10.0.0.7": "",
		"[::1]:5000": "", "badexample": "",
	} {
		for range 20 { // the order of a map is random
			if got := p.Of(host); got != want {
				t.Fatalf("%s is in pool %q, want %q", host, got, want)
			}
		}
	}
	if got := (pool.Pools)(nil).Of("docker.io"); got != "" {
		t.Error(got)
	}
}

func TestNamesAndRegistriesOfPoolsAreChecked(t *testing.T) {
	for name, right := range map[string]bool{
		"zone-b": true, "b": true, "3": true, "": false, "Zone": false, "a--b": false, "-a": false, "a/b": false, "a_b": false,
		"default": false, "own-3f": false, "own": true, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false,
	} {
		if err := pool.Name(name); (err == nil) != right || err != nil && (!fault.Is(err, fault.Invalid) || fault.HintOf(err) == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for from, want := range map[string]string{
		"REG.example:5000": "reg.example:5000", "index.docker.io": "docker.io", "*.Corp.example": "*.corp.example", "localhost": "localhost",
		"*.corp.example:5000": "", "*": "", "*.*.example": "", "reg": "", "https://reg.example": "", "reg.example/team": "", "": "", "*.": "",
	} {
		got, err := pool.Registry(from)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q becomes %q, %v", from, got, err)
		}
	}
}

func TestWhatNobodyServesIsSaid(t *testing.T) {
	server := func(slots int, pools ...string) wire.Worker {
		return wire.Worker{Kind: "server", Alive: true, Slots: slots, Pools: pools}
	}
	dead := wire.Worker{Slots: 4}
	for _, c := range []struct {
		all      []wire.Worker
		in, want string
	}{
		{nil, "", "no worker is alive"},
		{[]wire.Worker{dead}, "", "no worker is alive"},
		{[]wire.Worker{dead, server(0)}, "zone-b", "no worker is alive, and the servers run no jobs (--slots -1)"},
		{[]wire.Worker{server(0), server(1, "zone-b")}, "", "no worker serves the jobs of no pool"},
		{[]wire.Worker{server(1)}, "zone-b", "no worker serves pool zone-b"},
		{[]wire.Worker{server(1)}, "own-x", "no server with the storage of the registry that it touches is alive (pool own-x)"},
		{[]wire.Worker{server(1)}, "", ""},
		{[]wire.Worker{server(1, "default", "own-x")}, "own-x", ""},
	} {
		if got := pool.Unserved(c.all, c.in); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for kind, want := range map[fault.Kind]string{
		fault.Unavailable: "does not answer", fault.NotFound: "does not have its namespace", fault.Denied: "refuses the login",
	} {
		if got := pool.Silent(kind); got != want {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
