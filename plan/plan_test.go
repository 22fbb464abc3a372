package plan

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// update rewrites the golden files of both golden tests, those in testdata and in testdata/selection:
//
//	go test ./plan -update
//
// Look at the difference with git diff before you commit it.
var update = flag.Bool("update", false, "rewrite the golden files with the current results")

// Each file in testdata holds a source, a target and rules. Its last part is the expected plan.
func TestMakeFollowsTheGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			golden, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := planText(t, golden)
			last := &golden.Files[len(golden.Files)-1]
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(golden), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(last.Data) {
				t.Errorf("got\n%s\nwant\n%s", got, last.Data)
			}
		})
	}
}

func planText(t *testing.T, golden *txtar.Archive) string {
	t.Helper()
	part := map[string]string{}
	for _, f := range golden.Files {
		part[f.Name] = string(f.Data)
	}
	var targets []string
	rules := Rules{}
	for line := range strings.SplitSeq(strings.TrimSpace(part["rules"]), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "overwrite":
			rules.Overwrite = Overwrite(rest)
		case "to":
			targets = append(targets, rest)
		default:
			t.Fatalf("rules: %q", line)
		}
	}
	rules.Targets = func(from ref.Name) (to []ref.Name) {
		for _, s := range targets {
			to = append(to, name(strings.ReplaceAll(s, "TAG", from.Tag)))
		}
		return to
	}
	steps, err := Make(t.Context(), inventory(part["source"]), inventory(part["target"]), rules)
	if err != nil {
		return err.Error() + "\n"
	}
	p := Plan{Verb: "copy", Overwrite: rules.Overwrite, Steps: steps}
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&file)
	if err != nil || back.String() != p.String() || !reflect.DeepEqual(back.Steps, p.Steps) {
		t.Errorf("the plan cannot be read back, or reads back differently: %v\n%s", err, back)
	}
	return p.String()
}

// digest returns a digest that ends in a short word, so that golden files are readable.
func digest(word string) oci.Digest {
	return oci.Digest("sha256:" + strings.Repeat("0", 64-len(word)) + word)
}

func inventory(text string) Inventory {
	inv := Inventory{}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if n, word, ok := strings.Cut(line, " "); ok {
			inv[name(n)] = oci.Descriptor{MediaType: oci.TypeIndex, Digest: digest(word), Size: 9}
		}
	}
	return inv
}

func name(s string) ref.Name {
	n, err := ref.Parse(s)
	if err != nil {
		panic(err)
	}
	return n
}

func randomInventory(r *rand.Rand, host string) Inventory {
	inv := Inventory{}
	for range r.IntN(12) {
		inv[name(fmt.Sprintf("%s/app%d:v%d", host, r.IntN(3), r.IntN(4)))] = oci.Descriptor{Digest: digest(strconv.Itoa(r.IntN(4))), Size: 1}
	}
	return inv
}

func toOther(from ref.Name) []ref.Name {
	return []ref.Name{{Repo: ref.Repo{Host: "b.io", Path: from.Path}, Tag: from.Tag}}
}

func TestEqualInputsGiveEqualBytes(t *testing.T) {
	for seed := range uint64(200) {
		var texts []string
		for range 2 {
			r := rand.New(rand.NewPCG(seed, 1))
			steps, err := Make(t.Context(), randomInventory(r, "a.io"), randomInventory(r, "b.io"), Rules{Overwrite: Update, Targets: toOther})
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := (Plan{Verb: "copy", Overwrite: Update, Steps: steps}).Write(&file); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, file.String())
		}
		if texts[0] != texts[1] {
			t.Fatalf("seed %d:\n%s\n%s", seed, texts[0], texts[1])
		}
	}
}

func TestApplyingAPlanLeavesNothingToDo(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		src, dst := randomInventory(r, "a.io"), randomInventory(r, "b.io")
		rules := Rules{Overwrite: Update, Targets: toOther}
		steps, _ := Make(t.Context(), src, dst, rules)
		for _, s := range steps {
			dst[s.To] = s.Root()
		}
		again, _ := Make(t.Context(), src, dst, rules)
		for _, s := range again {
			if s.Action != Skip {
				t.Fatalf("seed %d: %s", seed, s.Describe())
			}
		}
	}
}

func TestReadNamesTheLineThatIsWrong(t *testing.T) {
	head := `{"plan":1,"verb":"copy","overwrite":"update"}` + "\n"
	step := `{"action":"copy","from":"a.io/x:1@` + string(digest("a")) + `","to":"b.io/x:1","size":1}` + "\n"
	for in, want := range map[string]string{
		"":                         "read plan line 1: invalid: the file is empty",
		"x":                        "read plan line 1: invalid: not a plan of dray",
		`{}`:                       "read plan line 1: invalid: not a plan of dray",
		`{"plan":2,"verb":"copy"}`: "a plan of version 2; this dray reads version 1",
		head + step + "{}":         "line 3: invalid: unknown action",
		head + `{"actions":1}`:     `line 2: invalid: not a step of dray: unknown field "actions"`,
		head + step + step[:20]:    "line 3",
		head + step:                "line 3: invalid: the plan is not complete",
		head + step + End + step:   "line 3",
		head + End + "\n" + step:   "line 3: invalid: there is text after the end",
		head + strings.Replace(step, "b.io/x:1", "b.io/X:1", 1):                    "line 2",
		head + strings.Replace(step, `"size":1`, `"size":-1`, 1):                   "line 2: invalid: size -1",
		head + strings.Replace(step, `"size":1`, `"size":"1"`, 1):                  "line 2: invalid: not a step of dray",
		head + strings.Replace(step, `"size":1`, `"size":1,"overwrite":"some"`, 1): `line 2: invalid: unknown overwrite "some"`,
	} {
		if _, err := Read(strings.NewReader(in)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", in, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"plan":1,"verb":"copy","overwrite":"update"}` + "\n" + `{"action":"copy","from":"a.io/x:1@` + string(digest("a")) + `","to":"b.io/x:1","size":1}` + "\n" + End))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		var file bytes.Buffer
		if err := p.Write(&file); err != nil {
			t.Fatal(err)
		}
		again, err := Read(bytes.NewReader(file.Bytes()))
		if err != nil {
			t.Fatalf("does not read back: %v", err)
		}
		var second bytes.Buffer
		if err := again.Write(&second); err != nil || second.String() != file.String() {
			t.Fatalf("reads back differently: %v\n%s\n%s", err, file.String(), second.String())
		}
	})
}
