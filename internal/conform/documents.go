//nolint:thelper // the checks are tests that Run runs; t.Helper would hide the line that failed
package conform

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

func documentChecks() []check {
	return []check{
		{"an absent tag and an absent digest are not found", func(t *testing.T, p Pair) {
			wantAbsent(t, p, "v1")
			wantAbsent(t, p, "latest")
			wantAbsent(t, p, string(oci.Sum([]byte("nothing"))))
			putDocument(t, p, image(t, p, 100, ""), "v2")
			wantAbsent(t, p, "v1")
			wantAbsent(t, p, "latest")
			wantAbsent(t, p, string(oci.Sum([]byte("nothing"))))
		}},
		{"a document comes back byte for byte, odd spaces and unknown fields too", func(t *testing.T, p Pair) {
			doc := image(t, p, 101, `,"annotations":{"ünï":"\u00fc\/"},"x-unknown":[1.50,{"a":null}]`)
			doc = parse(t, strings.NewReplacer(`":`, "\" :\t", `,"`, ",\r\n  \"").Replace(string(doc.Raw))+"\n\n")
			putDocument(t, p, doc, "odd")
			wantDocument(t, p, "odd", doc)
			wantDocument(t, p, string(doc.Digest), doc)
		}},
		{"an artifact keeps its media types", func(t *testing.T, p Pair) {
			config := putBlob(t, p, "application/vnd.cncf.helm.config.v1+json", []byte(`{"name":"chart"}`))
			chart := putBlob(t, p, "application/x.made-up", content(102, 300))
			doc := manifest(t, config, `,"artifactType":"application/vnd.example.thing"`, chart)
			putDocument(t, p, doc, "chart")
			wantDocument(t, p, "chart", doc)
		}},
		{"a document of an unknown media type arrives or is refused", func(t *testing.T, p Pair) {
			raw := string(image(t, p, 103, "").Raw)
			doc := parse(t, strings.Replace(raw, oci.TypeManifest, "application/vnd.example.manifest+json", 1))
			if _, err := p.Target.PutDocument(t.Context(), doc, "own"); err != nil {
				wantKind(t, "put", err, fault.Refused, fault.Invalid)
				t.Logf("an unknown media type is refused: %v", err)
				wantAbsent(t, p, "own")
				return
			}
			wantDocument(t, p, "own", doc)
		}},
		{"a Docker manifest arrives", func(t *testing.T, p Pair) {
			doc := parse(t, strings.Replace(string(image(t, p, 104, "").Raw), oci.TypeManifest, oci.TypeDockerManifest, 1))
			putDocument(t, p, doc, "docker")
			wantDocument(t, p, "docker", doc)
		}},
	}
}

// familyChecks are about documents and the documents below or above them.
func familyChecks() []check {
	return []check{
		{"an index over images and an index over that arrive", func(t *testing.T, p Pair) {
			a, b := image(t, p, 105, ""), image(t, p, 106, "")
			inner := index(t, `,"platform":{"os":"linux","architecture":"arm64","variant":"v8"},"annotations":{"a":"b"}`, a, b)
			outer := index(t, "", inner, a)
			for _, doc := range []oci.Document{a, b, inner} {
				putDocument(t, p, doc)
			}
			putDocument(t, p, outer, "multi")
			wantDocument(t, p, "multi", outer)
			for _, doc := range []oci.Document{a, b, inner, outer} {
				wantDocument(t, p, string(doc.Digest), doc)
			}
		}},
		{"a document whose bytes do not match its digest is refused", func(t *testing.T, p Pair) {
			doc := image(t, p, 107, "")
			bad := doc
			bad.Raw = append(slices.Clone(doc.Raw), ' ')
			_, err := p.Target.PutDocument(t.Context(), bad, "bad")
			wantKind(t, "put", err, fault.Corrupt, fault.Invalid, fault.Refused)
			wantAbsent(t, p, "bad")
			wantAbsent(t, p, string(doc.Digest))
		}},
		{"a document put before its children is refused as not found, or accepted and readable", func(t *testing.T, p Pair) {
			config := putBlob(t, p, "application/vnd.oci.image.config.v1+json", []byte("{}"))
			noLayer := manifest(t, config, "", layer(content(108, 10)))
			noChild := index(t, "", parse(t, string(noLayer.Raw)))
			for tag, doc := range map[string]oci.Document{"no-layer": noLayer, "no-child": noChild} {
				if tag == "no-child" && mayResolve(t, p, noLayer) {
					continue // the registry does not check for the layer, so the child exists
				}
				_, err := p.Target.PutDocument(t.Context(), doc, tag)
				t.Logf("%s: %v", tag, err)
				if err == nil {
					wantDocument(t, p, tag, doc)
					continue
				}
				wantKind(t, tag, err, fault.NotFound)
				wantAbsent(t, p, tag)
			}
		}},
		{"a document without referrers has an empty list of referrers", func(t *testing.T, p Pair) {
			doc := image(t, p, 109, "")
			for range 2 {
				list, err := p.Source.Referrers(t.Context(), doc.Descriptor)
				noError(t, "list referrers", err)
				if len(list) != 0 {
					t.Fatalf("%v; want none", list)
				}
				putDocument(t, p, doc, "alone")
			}
		}},
	}
}

func mayResolve(t *testing.T, p Pair, doc oci.Document) bool {
	t.Helper()
	_, err := p.Source.Resolve(t.Context(), string(doc.Digest))
	return err == nil
}

func findsBySubject(t *testing.T, p Pair) {
	subject := image(t, p, 110, "")
	putDocument(t, p, subject, "subject")
	other := image(t, p, 111, "")
	putDocument(t, p, other, "other")
	const kind = "application/vnd.example.signature"
	signature := image(t, p, 112, `,"artifactType":"`+kind+`","annotations":{"by":"me"},"subject":`+
		entry(subject.Descriptor, ""))
	acc, err := p.Target.PutDocument(t.Context(), signature)
	noError(t, "put document", err)
	if acc.Subject != "" && acc.Subject != subject.Digest {
		t.Fatalf("accepted with the subject %s; want %s", acc.Subject, subject.Digest)
	}
	list, err := p.Source.Referrers(t.Context(), subject.Descriptor)
	noError(t, "list referrers", err)
	if len(list) != 1 || list[0].Digest != signature.Digest || list[0].Size != signature.Size ||
		list[0].ArtifactType != kind || list[0].Annotations["by"] != "me" {
		t.Fatalf("referrers: %+v; want %s of %d bytes with its artifact type and its annotations",
			list, signature.Digest, signature.Size)
	}
	list, err = p.Source.Referrers(t.Context(), other.Descriptor)
	noError(t, "list referrers", err)
	if len(list) != 0 {
		t.Fatalf("referrers of another document: %v", list)
	}
}

func tagChecks() []check {
	return []check{
		{"a document without tags is found by digest only", func(t *testing.T, p Pair) {
			doc := image(t, p, 120, "")
			putDocument(t, p, doc)
			wantDocument(t, p, string(doc.Digest), doc)
			wantAbsent(t, p, "latest")
		}},
		{"one document may get several tags at once and more later", func(t *testing.T, p Pair) {
			doc := image(t, p, 121, "")
			putDocument(t, p, doc, "a", "b", "c", "d")
			putDocument(t, p, doc, "e")
			putDocument(t, p, doc)
			for _, tag := range []string{"a", "b", "c", "d", "e"} {
				wantDocument(t, p, tag, doc)
			}
		}},
		{"a tag that is set again points to the new document and to no other", func(t *testing.T, p Pair) {
			old, next := image(t, p, 122, ""), image(t, p, 123, "")
			putDocument(t, p, old, "moving", "fixed")
			putDocument(t, p, next, "moving")
			wantDocument(t, p, "moving", next)
			wantDocument(t, p, "fixed", old)
			putDocument(t, p, old, "moving")
			wantDocument(t, p, "moving", old)
			wantDocument(t, p, string(next.Digest), next)
		}},
		{"a refused tag does not prevent the other tags", func(t *testing.T, p Pair) {
			doc := image(t, p, 124, "")
			acc, err := p.Target.PutDocument(t.Context(), doc, "before", "-not/a tag", "after")
			noError(t, "put document", err)
			slices.Sort(acc.Tags)
			if !slices.Equal(acc.Tags, []string{"after", "before"}) || len(acc.Failed) != 1 {
				t.Fatalf("accepted %q, failed %v", acc.Tags, acc.Failed)
			}
			wantKind(t, "the bad tag", acc.Failed["-not/a tag"], fault.Invalid, fault.Refused)
			wantDocument(t, p, "before", doc)
			wantDocument(t, p, "after", doc)
		}},
		{"tags are listed, each once, until visit returns an error", listsTags},
	}
}

func listsTags(t *testing.T, p Pair) {
	if p.List == nil {
		t.Log("this repository lists no tags")
		return
	}
	a, b := image(t, p, 130, ""), image(t, p, 131, "")
	putDocument(t, p, a, "v1", "v2", "latest")
	putDocument(t, p, b, "v2", "_x.Y-9")
	putDocument(t, p, image(t, p, 132, ""))
	var got []string
	noError(t, "list tags", p.List(t.Context(), func(l oci.Listed) error {
		got = append(got, l.Tag)
		if d := l.Descriptor.Digest; d != "" {
			if at, err := p.Source.Resolve(t.Context(), l.Tag); err != nil || at.Digest != d {
				t.Errorf("%s is listed with %s, and is %s (%v)", l.Tag, d, at.Digest, err)
			}
		}
		return nil
	}))
	slices.Sort(got)
	if want := []string{"_x.Y-9", "latest", "v1", "v2"}; !slices.Equal(got, want) {
		t.Fatalf("tags %q; want %q", got, want)
	}
	enough, visits := errors.New("enough"), 0
	err := p.List(t.Context(), func(oci.Listed) error { visits++; return enough })
	if !errors.Is(err, enough) || visits != 1 {
		t.Fatalf("%v after %d visits; want the error of visit after one visit", err, visits)
	}
}
