package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// carrier returns a tool that runs one line of sh for each half. $1 is the directory of the files.
func carrier(into, out string) tool {
	return tool{Name: "sh", Commands: func(_ tool, j job) (order, error) {
		line := into
		if j.Verb == fromFiles {
			line = out
		}
		return order{Cmds: [][]string{{"sh", "-c", line, "sh", j.Carried}}}, nil
	}}
}

func TestOnlyAToolThatCarriesEverythingThroughItsFilesHasATime(t *testing.T) {
	l, err := startLauncher()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	b := &bench{launcher: l, limit: time.Minute, dir: t.TempDir()}
	images := fleet(2, 1000, "v1", "v2")
	for name, c := range map[string]struct {
		into, out string
		held      func([]image) []image
		want      string // a part of what is wrong; "" is nothing
	}{
		"all is there":           {"printf 12345 >$1/a", "test -e $1/a", all, ""},
		"one image is not there": {"printf 12345 >$1/a", "true", func(m []image) []image { return m[1:] }, "differs"},
		"the first half fails":   {"echo no room >&2; exit 1", "true", all, "no room"},
		"the second half fails":  {"printf 12345 >$1/a", "echo no file >&2; exit 1", all, "no file"},
	} {
		for _, half := range []verb{toFiles, fromFiles} {
			c2 := content{workload: workload{Verb: half, Dst: "hash", Held: c.held}, images: images, handler: newStore(keep), dir: t.TempDir()}
			s, err := b.once(t.Context(), carrier(c.into, c.out), c2)
			if err != nil {
				t.Fatal(name, err)
			}
			if s.ok() != (c.want == "") || !strings.Contains(s.Wrong+s.Failed, c.want) {
				t.Errorf("%s, %s: wrong %q, failed %q", name, half, s.Wrong, s.Failed)
			}
			if c.want == "" && (s.Carried != 5 || s.Wall == 0) {
				t.Errorf("%s, %s: files of %d bytes in %v", name, half, s.Carried, s.Wall)
			}
		}
	}
}

func TestTheFleetSharesLayersSoThatFilesHoldEachOnce(t *testing.T) {
	images := fleet(3, 1000, "v1", "v2")
	configs := int64(0)
	for _, m := range images {
		for _, b := range m.Blobs {
			if len(b) < 1000 {
				configs += int64(len(b))
			}
		}
	}
	if got, want := distinct(images)-configs, int64(16000+3*6000+6*1000); got != want {
		t.Errorf("%d distinct bytes of layers, want %d", got, want)
	}
	if got, want := size(images)-configs, int64(3*(16000+6000+2*1000)); got != want {
		t.Errorf("%d bytes of layers in three repositories, want %d", got, want)
	}
	later := newTags(sizes{Own: 100})
	if got := len(later) - len(older(later)); got != 4 || len(older(later)) != 40 {
		t.Errorf("%d new tags beside %d", got, len(older(later)))
	}
}

func TestCommandsThatComeFirstEndBeforeTheOthersBegin(t *testing.T) {
	dir := t.TempDir()
	a := filepath.Join(dir, "a")
	r := obey(order{
		First:    [][]string{{"sh", "-c", "sleep 0.05"}, {"touch", a}},
		Cmds:     [][]string{{"test", "-e", a}, {"test", "-e", a}},
		Parallel: 2, Limit: time.Minute,
	})
	if r.Failed != "" {
		t.Errorf("%+v", r)
	}
	r = obey(order{First: [][]string{{"false"}}, Cmds: [][]string{{"rm", a}}, Limit: time.Minute})
	if _, err := os.Stat(a); r.Failed == "" || err != nil {
		t.Errorf("after a failure the others ran: %+v %v", r, err)
	}
}

func TestWhatIsCountedSinceAPointLeavesOutWhatCameBefore(t *testing.T) {
	before := counts{Requests: 2, Kinds: map[string]int64{"GET blob": 1, "HEAD blob": 1}, Served: 10}
	now := counts{Requests: 5, Kinds: map[string]int64{"GET blob": 4, "HEAD blob": 1}, Served: 50}
	if got := now.since(before); got.Requests != 3 || got.Served != 40 || len(got.Kinds) != 1 || got.Kinds["GET blob"] != 3 {
		t.Errorf("%+v", got)
	}
}
