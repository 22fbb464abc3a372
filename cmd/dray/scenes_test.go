//go:build linux && amd64

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/drayage/dray/plan"
)

// scenes are the verbs that write: to registries, to layouts, archives and bundles, and to the files that users name.
func scenes() []*scene {
	return append(registryScenes(), fileScenes()...)
}

func registryScenes() []*scene {
	return []*scene{{
		name: "copy a large blob", large: true, names: named("large:v1", "large:v1", "large:stable", "large:v1"),
		lines: func(r *round) [][]string {
			return [][]string{{"copy", r.from("large:v1"), r.to("large:v1"), r.to("large:stable"), "--plain-http"}}
		},
	}, {
		name: "import", names: named("one:v1", "app:v1", "two:v1", "app:v1"),
		lines: func(r *round) [][]string {
			return [][]string{{"import", "--source", r.from("app:v1"), "-t", r.to("one:v1"), "-t", r.to("two:v1"), "--plain-http"}}
		},
	}, {
		name: "transfer", names: named(team...),
		lines: func(r *round) [][]string {
			return [][]string{{"transfer", r.from("team/"), r.to(""), "--failed-to", "failed", "--plain-http"}}
		},
	}, {
		name: "batch", names: named("a:v1", "app:v1", "b:v2", "team/one:v2", "c:v1", "team/two:v1"), leaves: []string{"list"},
		begin: func(r *round) {
			r.write("list", r.from("app:v1")+" "+r.to("a:v1")+"\n"+r.from("team/one:v2")+" "+r.to("b:v2")+"\n"+
				r.from("team/two:v1")+" "+r.to("c:v1")+"\n")
		},
		lines: func(r *round) [][]string {
			return [][]string{{"batch", "-f", "list", "--failed-to", "failed", "--force", "--plain-http"}}
		},
	}, {
		name: "plan and apply", names: named(team...), leaves: []string{"plan.json"},
		lines: func(r *round) [][]string {
			return [][]string{
				{"plan", "transfer", r.from("team/"), r.to(""), "--plain-http", ">" + r.file("plan.json")},
				{"apply", "plan.json", "--failed-to", "failed", "--plain-http"},
			}
		},
		files: halfAPlanIsRefused,
	}, {
		name: "bundle", names: named(team...), leaves: []string{"b.tar", "b.tar.receipt"},
		over: "create bundle b.tar: conflict: it exists",
		lines: func(r *round) [][]string {
			return [][]string{
				{"bundle", "create", "--transfer", r.from("team/"), "-o", "b.tar", "--plain-http"},
				{"bundle", "load", "b.tar", r.to(""), "--plain-http"},
			}
		},
		files: func(r *round, done bool) {
			if _, is := r.unpack("b.tar"); done && !is {
				r.t.Error("no bundle")
			}
			r.isList("b.tar.receipt", done)
		},
	}}
}

// halfAPlanIsRefused checks that a plan whose writer was killed is not carried out.
func halfAPlanIsRefused(r *round, done bool) {
	r.t.Helper()
	raw, err := os.ReadFile(r.file("plan.json"))
	if done || err != nil || bytes.HasSuffix(raw, []byte(plan.End+"\n")) {
		return
	}
	before := r.dst.Requests()
	if out := r.run([]string{"apply", "plan.json", "--plain-http"}); out.code == 0 || r.dst.Requests() != before {
		r.t.Errorf("half a plan was carried out: %d bytes, exit code %d", len(raw), out.code)
	}
}

func fileScenes() []*scene {
	return []*scene{{
		name: "copy to a layout", names: nothing, leaves: []string{"layout"},
		lines: func(r *round) [][]string {
			return [][]string{
				{"copy", r.from("app:v1"), "oci:layout:v1", "--plain-http"},
				{"copy", r.from("team/one:v2"), "oci:layout:v2", "--plain-http"},
			}
		},
		files: func(r *round, done bool) {
			if n := layoutIsWhole(r.t, os.DirFS(r.file("layout"))); done && n != 2 {
				r.t.Errorf("%d images", n)
			}
		},
	}, {
		name: "transfer to a layout", names: nothing, leaves: []string{"many"},
		lines: func(r *round) [][]string {
			return [][]string{{"transfer", r.from("team/"), "oci:many/", "--plain-http"}}
		},
		files: func(r *round, done bool) {
			n := layoutIsWhole(r.t, os.DirFS(r.file("many")))
			for _, below := range []string{"many/one", "many/two", "many/team/one", "many/team/two"} {
				n += layoutIsWhole(r.t, os.DirFS(r.file(below)))
			}
			if done && n != 4 {
				r.t.Errorf("%d images", n)
			}
		},
	}, {
		name: "copy to an archive", names: nothing, leaves: []string{"a.tar"},
		lines: func(r *round) [][]string {
			return [][]string{
				{"copy", r.from("app:v1"), "oci-archive:a.tar:v1", "--plain-http"},
				{"copy", r.from("team/one:v2"), "oci-archive:a.tar:v2", "--plain-http"},
			}
		},
		files: func(r *round, done bool) {
			n := 0
			if files, ok := r.unpack("a.tar"); ok {
				n = layoutIsWhole(r.t, files)
			}
			if done && n != 2 {
				r.t.Errorf("%d images", n)
			}
		},
	}, {
		name: "copy to an archive of docker and a directory", names: nothing, leaves: []string{"d.tar", "dir"},
		lines: func(r *round) [][]string {
			return [][]string{
				{"copy", r.from("app:v1"), "docker-archive:d.tar:app:v1", "--plain-http"},
				{"copy", r.from("app:v1"), "dir:dir", "--plain-http"},
			}
		},
		files: func(r *round, done bool) {
			if _, ok := r.unpack("d.tar"); done && !ok {
				r.t.Error("no archive")
			}
			if done {
				r.must([]string{"verify", r.from("app:v1"), "dir:dir", "--rehash", "--plain-http"})
			}
		},
	}, {
		name: "verify", names: nothing, leaves: []string{"receipt.json"},
		lines: func(r *round) [][]string {
			return [][]string{{"verify", r.from("team/"), r.src.Host, "--deep", "--receipt", "receipt.json", "--plain-http"}}
		},
		files: func(r *round, done bool) { r.isJSON("receipt.json", done) },
	}}
}

// isList checks that a file has a list of what a registry has, which ends with its checksum, or does not exist before
// the work is done.
func (r *round) isList(name string, done bool) {
	r.t.Helper()
	raw, err := os.ReadFile(r.file(name))
	if errors.Is(err, fs.ErrNotExist) && !done {
		return
	}
	if end := len(raw) - sha256.Size; err == nil && end > 0 {
		if sum := sha256.Sum256(raw[:end]); bytes.Equal(sum[:], raw[end:]) {
			return
		}
	}
	r.t.Errorf("%s is not whole: %d bytes, %v", name, len(raw), err)
}

// isJSON checks that a file has JSON, or does not exist before the work is done.
func (r *round) isJSON(name string, done bool) {
	r.t.Helper()
	raw, err := os.ReadFile(r.file(name))
	if errors.Is(err, fs.ErrNotExist) && !done {
		return
	}
	for dec := json.NewDecoder(bytes.NewReader(raw)); err == nil && dec.More(); {
		var v any
		err = dec.Decode(&v)
	}
	if err != nil || len(raw) == 0 {
		r.t.Errorf("%s: %v %.200s", name, err, raw)
	}
}
