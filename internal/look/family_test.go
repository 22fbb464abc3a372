package look_test

import (
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

func treeOf(t *testing.T, y *yard.Yard, name string) dray.Tree {
	t.Helper()
	tree, err := y.Tree(t.Context(), dray.LookRequest{Name: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestATreeHasWhatRefersToAChildBelowThatChild(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "app", "v1", 2)
	child := testbed.Random(t, y.Src, "app", "", testbed.RandomOptions{Seed: 3})
	alone := treeOf(t, y, "src/app@"+child.Digest())
	if len(alone.Referrers) != 0 || alone.Count != 0 || alone.Total == 0 || alone.ArtifactType != "" {
		t.Errorf("%+v", alone)
	}
	index := treeOf(t, y, "src/app:v1")
	desc, err := y.Digest(t.Context(), dray.LookRequest{Name: "src/app@" + string(index.Children[1].Digest)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sbom := testbed.Artifact(t, y.Src, "app", "", desc)
	tree := treeOf(t, y, "src/app:v1")
	if len(tree.Referrers) != 0 || len(tree.Children) != 2 || len(tree.Children[0].Referrers) != 0 || tree.Count != 1 {
		t.Fatalf("%+v", tree)
	}
	below := tree.Children[1].Referrers
	if len(below) != 1 || string(below[0].Digest) != sbom.Digest() || below[0].ArtifactType != testbed.ArtifactType {
		t.Errorf("%+v", below)
	}
	if tree.Total <= index.Total {
		t.Errorf("%d bytes with the SBOM, %d without", tree.Total, index.Total)
	}
}

// regclient's testrepo has a loop of referrers, and entries of lists that it does not have.
func TestTheTreeOfALoopShowsEachDocumentOnce(t *testing.T) {
	y := yard.New(t)
	tree := treeOf(t, y, "oci:"+testbed.RegclientRepo(t)+":child")
	seen, repeated := map[string]int{}, 0
	var walk func(n dray.Node)
	walk = func(n dray.Node) {
		if n.Repeated {
			repeated++
			return
		}
		if seen[string(n.Digest)]++; seen[string(n.Digest)] > 1 {
			t.Fatalf("%s is shown twice", n.Digest)
		}
		for _, below := range append(append([]dray.Node{}, n.Children...), n.Referrers...) {
			walk(below)
		}
	}
	walk(tree.Node)
	if len(seen) < 2 || repeated == 0 {
		t.Errorf("%d documents, %d of them again: %+v", len(seen), repeated, tree)
	}
}

func TestADocumentThatIsListedAndIsNotThereIsShownAsMissing(t *testing.T) {
	y := yard.New(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	sbom := testbed.Artifact(t, y.Src, "app", "", img.Root)
	y.Src.Direct(t, "DELETE", "/v2/app/manifests/"+sbom.Digest(), nil, nil, nil)
	tree := treeOf(t, y, "src/app:v1")
	if len(tree.Referrers) != 1 || !tree.Referrers[0].Missing || string(tree.Referrers[0].Digest) != sbom.Digest() {
		t.Errorf("%+v", tree.Referrers)
	}
}
