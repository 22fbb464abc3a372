package plan

import (
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// podsJSON has the form of kubectl get pods -A -o json, including fields that ParseInUse must ignore.
const podsJSON = `{"apiVersion":"v1","kind":"List","items":[
{"kind":"Pod","metadata":{"name":"a","annotations":{"image":"nobody/reads:this"}},
 "spec":{"initContainers":[{"name":"init","image":"reg.io/init:1"}],"containers":[{"name":"app","image":"reg.io/app:1"},{"name":"side","image":"nginx"}]},
 "status":{"phase":"Running","initContainerStatuses":[{"name":"init","image":"reg.io/init:1","imageID":"docker-pullable://reg.io/init@` + digestA + `"}],
  "containerStatuses":[{"name":"app","image":"reg.io/app:1","imageID":"reg.io/app@` + digestB + `"},{"name":"side","image":"nginx","imageID":"` + digestA + `"}]}},
{"kind":"Pod","spec":{"containers":[{"name":"new","image":"reg.io/pending:2"}]},"status":{"phase":"Pending"}},
{"kind":"Deployment","spec":{"template":{"spec":{"containers":[{"name":"x","image":"reg.io/deployed:3"}]}}}},
{"kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"y","image":"reg.io/nightly@` + digestA + `"}]}}}}}}
]}`

func TestImagesInUseAreReadAsKubectlPrintsThem(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		local            int
	}{
		{"json", podsJSON, "docker.io/library/nginx:latest reg.io/app@" + digestB + " reg.io/deployed:3 reg.io/init@" + digestA + " reg.io/nightly@" + digestA + " reg.io/pending:2", 1},
		{"one pod", `{"spec":{"containers":[{"name":"a","image":"reg.io/a:1"}]}}`, "reg.io/a:1", 0},
		{"a list of words", `["reg.io/a:1", "reg.io/b@` + digestA + `"]`, "reg.io/a:1 reg.io/b@" + digestA, 0},
		{"jsonpath", "reg.io/a:1 reg.io/b:2 reg.io/a:1", "reg.io/a:1 reg.io/b:2", 0},
		{"lines", "\ufeff# what runs\r\ndocker-pullable://reg.io/a@" + digestA + "\r\nreg.io:5000/b:1@" + digestB + "  # with its tag\r\n\r\nnginx\r\n", "docker.io/library/nginx:latest reg.io/a@" + digestA + " reg.io:5000/b@" + digestB, 0},
		{"columns", "NAME_OF   IMAGES\nreg.io/a:1,reg.io/b:1\n<none>\n", "reg.io/a:1 reg.io/b:1", 0},
		{"IDs of nodes", "docker://" + digestA + "\n" + digestB + "\n" + strings.Repeat("c", 64) + "\nreg.io/a:1", "reg.io/a:1", 3},
	} {
		u, err := ParseInUse([]byte(c.text))
		var got []string
		for _, n := range u.Images {
			got = append(got, n.String())
		}
		if err != nil || strings.Join(got, " ") != c.want || u.Local != c.local {
			t.Errorf("%s: %v, %d local, %v\nwant %s", c.name, got, u.Local, err, c.want)
		}
	}
}

func TestAFileThatTellsOfNoImageIsAnErrorAndNotNothing(t *testing.T) {
	for _, text := range []string{"", " \n", "# nothing", "IMAGE\n", "{}", "[]", `{"items":[]}`, "docker://" + digestA, "{", "[1]", "error: You must be logged in to the server", "reg.io/a:b:c", "a\nHTTP/1.1", "oci:dir:v1"} {
		if u, err := ParseInUse([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v %v", text, u, err)
		}
	}
	if _, err := ParseInUse([]byte("reg.io/a:1\nreg.io/b:1\nA B\n")); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v", err)
	}
}

func TestTagsThatRunAreKeptByDigestOrByName(t *testing.T) {
	u, err := ParseInUse([]byte("reg.io/app@" + digestA + " reg.io/app:named reg.io/apple:x"))
	if err != nil {
		t.Fatal(err)
	}
	app := ref.Repo{Host: "reg.io", Path: "app"}
	sel := Selection{Running: u.Of(app)}
	tags := []oci.Listed{
		{Tag: "v1", Descriptor: oci.Descriptor{Digest: digestA}}, {Tag: "v2", Descriptor: oci.Descriptor{Digest: digestB}},
		{Tag: "named", Descriptor: oci.Descriptor{Digest: digestB}}, {Tag: "x", Descriptor: oci.Descriptor{Digest: digestB}}, {Tag: "open"},
	}
	kept, why, err := sel.Tags(t.Context(), "app", tags)
	var got []string
	for _, k := range kept {
		got = append(got, k.Tag)
	}
	if err != nil || strings.Join(got, " ") != "named open v1" || why.Stages[0] != (Stage{"in-use", 3}) {
		t.Errorf("%v %v %+v", got, err, why)
	}
	sel.Running = u.Of(ref.Repo{Host: "reg.io", Path: "idle"})
	if kept, _, _ := sel.Tags(t.Context(), "idle", tags); len(kept) != 0 {
		t.Errorf("%v", kept)
	}
	if (InUse{}).Of(app) != nil {
		t.Error("the zero InUse is a rule")
	}
}

func FuzzParseInUse(f *testing.F) {
	f.Add([]byte(podsJSON))
	f.Add([]byte("a b,c\n#"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		u, err := ParseInUse(raw)
		if (err == nil) == (len(u.Images) == 0) {
			t.Errorf("%v %v", u, err)
		}
		for _, n := range u.Images {
			if again, err := ref.Parse(n.String()); err != nil || again != n {
				t.Errorf("%s: %v", n, err)
			}
		}
	})
}
