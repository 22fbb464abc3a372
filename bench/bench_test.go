package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == launchWord { // the launcher is this program again
		os.Exit(launch(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

func TestEachKindOfRegistryHoldsWhatWasPutAndVerifyFindsWhatIsNot(t *testing.T) {
	images := []image{index(2, 2, 3000), single(repo, "v2", 1, 2, 5000)}
	for _, kind := range []string{"mem", "hash", "sink", "dist", "dray"} {
		h, stop, err := open(t.Context(), kind, t.TempDir())
		if err != nil {
			t.Fatal(kind, err)
		}
		defer stop()
		if err := put(h, images); err != nil {
			t.Fatal(kind, err)
		}
		if err := verify(h, images); err != nil {
			t.Error(kind, err)
		}
		other := single(repo, "v2", 2, 1, 4000)
		if err := verify(h, []image{other}); err == nil {
			t.Errorf("%s: a tag with the wrong digest passed", kind)
		}
		other = images[1]
		other.Blobs = map[string][]byte{digestOf([]byte("absent")): []byte("absent")}
		if err := verify(h, []image{other}); err == nil {
			t.Errorf("%s: a missing blob passed", kind)
		}
	}
}

func TestAStoreRefusesBytesOfAnotherDigestUnlessItTrusts(t *testing.T) {
	for k, refused := range map[keeping]bool{keep: true, check: true, trust: false} {
		err := putBlob(newStore(k), repo, digestOf([]byte("good")), []byte("evil"))
		if (err != nil) != refused {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func TestALinkDelaysAndSlowsEachConnection(t *testing.T) {
	s := newStore(keep)
	m := single(repo, "v1", 1, 1, 1<<20)
	if err := put(s, []image{m}); err != nil {
		t.Fatal(err)
	}
	side, err := listen(s, link{RTT: 30 * time.Millisecond, Rate: 10 << 20}, faults{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer side.close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	took := func(path string) time.Duration {
		begun := time.Now()
		res, err := client.Get("http://" + side.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		return time.Since(begun)
	}
	if d := took("/v2/"); d < 60*time.Millisecond {
		t.Errorf("a new connection answered after %v, but handshake and request take two round trips of 30 ms", d)
	}
	if d := took("/v2/"); d < 30*time.Millisecond {
		t.Errorf("an answer after %v, but a round trip takes 30 ms", d)
	}
	for digest, b := range m.Blobs {
		if len(b) == 1<<20 {
			if d := took("/v2/" + repo + "/blobs/" + digest); d < 130*time.Millisecond {
				t.Errorf("1 MiB at 10 MiB/s over 30 ms took %v", d)
			}
		}
	}
	if c := side.counts(); c.Requests != 3 || c.Connections != 1 || c.Served != 1<<20 {
		t.Errorf("counted %+v", c)
	}
}

func TestFaultsCutOnceAndKeepWhatArrived(t *testing.T) {
	s := newStore(keep)
	data := noise(1, 2<<20)
	digest := digestOf(data)
	if err := putBlob(s, repo, digest, data); err != nil {
		t.Fatal(err)
	}
	side, err := listen(s, link{}, faults{CutGets: true, CutUploads: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer side.close()
	read := func() (int, error) {
		res, err := http.Get("http://" + side.addr + "/v2/" + repo + "/blobs/" + digest)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return len(b), err
	}
	if n, err := read(); n != len(data)*3/4 || err == nil {
		t.Errorf("the first GET gave %d bytes and %v", n, err)
	}
	if n, err := read(); n != len(data) || err != nil {
		t.Errorf("the second GET gave %d bytes and %v", n, err)
	}
	to := do(s, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", "", nil).Header().Get("Location")
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodPut, "http://"+side.addr+to+"?digest="+digest, bytes.NewReader(data))
	if res, err := http.DefaultClient.Do(req); err == nil && res.StatusCode == http.StatusCreated {
		t.Error("the upload was not cut")
	}
	var held string
	for range 100 { // the handler may not have ended yet
		held = do(s, http.MethodGet, to, "", nil).Header().Get("Range")
		if held == "0-1048575" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the session has %q, want the first half", held)
}

func TestTheLauncherTellsWhatCommandsCostAndWhichFailed(t *testing.T) {
	l, err := startLauncher()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	r, err := l.run(order{Cmds: [][]string{{"sh", "-c", "sleep 0.05"}}, Limit: time.Minute})
	if err != nil || r.Failed != "" || r.Wall < 50*time.Millisecond || r.RSS == 0 {
		t.Errorf("%+v %v", r, err)
	}
	r, err = l.run(order{Cmds: [][]string{{"sh", "-c", "echo first >&2; echo last >&2; exit 3"}}, Limit: time.Minute})
	if err != nil || r.Failed != "last" {
		t.Errorf("%+v %v", r, err)
	}
	r, err = l.run(order{Cmds: [][]string{{"sleep", "60"}}, Limit: 50 * time.Millisecond})
	if err != nil || !r.Over {
		t.Errorf("%+v %v", r, err)
	}
}

func TestDifferencesUnderFifteenPercentAreTies(t *testing.T) {
	for _, c := range []struct {
		mine, best float64
		want       string
	}{{1.14, 1, "tie"}, {1, 1.14, "tie"}, {1.2, 1, "dray loses"}, {1, 1.2, "dray wins"}} {
		if got := verdict(c.mine, c.best); got != c.want {
			t.Errorf("%v beside %v: %s", c.mine, c.best, got)
		}
	}
}

func TestARunThatLeftTheWrongContentIsNoTime(t *testing.T) {
	r := result{Rows: []row{
		summarize(tool{Name: "dray", Peer: "dray"}, copyImage, []sample{{outcome: outcome{Wall: time.Second}}}, 1, 1),
		summarize(tool{Name: "crane", Peer: "crane"}, copyImage, []sample{{outcome: outcome{Wall: time.Millisecond}, Wrong: "no blob"}}, 1, 1),
	}}
	r.compare()
	if r.Rows[1].Wall != 0 || r.Verdict != "dray wins: no peer finished" {
		t.Errorf("%+v", r)
	}
}

func TestWorkloadsHaveNamesOfTheirOwnAndToolsThatAreAbsentAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range workloads() {
		if seen[strings.ToLower(w.Name)] {
			t.Errorf("two workloads have the name %s", w.Name)
		}
		seen[strings.ToLower(w.Name)] = true
	}
	t.Setenv("PATH", t.TempDir())
	tools, missing := find(os.Args[0]+"-absent", t.TempDir(), nil)
	if len(tools) != 0 || strings.Join(missing, " ") != "dray crane regctl skopeo oras" {
		t.Errorf("%v %v", tools, missing)
	}
	if _, _, err := choose("W1,W99"); err == nil {
		t.Error("an unknown workload was accepted")
	}
}

func TestARegistryThatWantsTokensGivesThemForWhatIsAskedFor(t *testing.T) {
	s := newStore(keep)
	m := single(repo, "v1", 1, 1, 100)
	if err := put(s, []image{m}); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, token string) int {
		r := httptest.NewRequest(method, path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		bearer{s}.ServeHTTP(w, r)
		return w.Code
	}
	w := httptest.NewRecorder()
	bearer{s}.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/token?service=x&scope=repository:"+repo+":pull", nil))
	var got struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	manifest := "/v2/" + repo + "/manifests/v1"
	if a, b, c := ask("GET", manifest, ""), ask("GET", manifest, got.Token), ask("PUT", manifest, got.Token); a != 401 || b != 200 || c != 401 {
		t.Errorf("%d without a token, %d with one, %d for another action", a, b, c)
	}
}
