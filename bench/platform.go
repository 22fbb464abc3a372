package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// wantedPlatform is the one that the tools copy. It is neither the first of an index nor that of most machines
// that run this, so that a tool which ignores the flag is found out.
var wantedPlatform = platform{"linux", "arm64"}

func (p platform) String() string { return p.OS + "/" + p.Arch }

// shape is what a tool leaves under the tag when it copies one platform of an index.
type shape string

const (
	child   shape = "child"   // the manifest of that platform, and no index
	trimmed shape = "trimmed" // an index of that platform alone, as dray makes it
	sparse  shape = "sparse"  // the index of the source, although the other images are absent
)

// only returns the image of one platform of an index.
func (m image) only(p platform) image {
	var list manifest
	_ = json.Unmarshal(m.root().raw, &list) // made by index
	for _, d := range list.Manifests {
		if *d.Platform != p {
			continue
		}
		one := image{Repo: m.Repo, Tag: m.Tag, Blobs: map[string][]byte{}}
		i := slices.IndexFunc(m.Docs, func(c doc) bool { return digestOf(c.raw) == d.Digest })
		one.Docs = []doc{m.Docs[i]}
		var parts manifest
		_ = json.Unmarshal(one.root().raw, &parts)
		for _, b := range parts.blobs() {
			one.Blobs[b.Digest] = m.Blobs[b.Digest]
		}
		return one
	}
	return image{Repo: m.Repo, Tag: m.Tag}
}

// verifyPlatform proves that a registry has the wanted platform of an index, whole, under the tag, in the shape that
// the tool promises, and nothing of the other platforms.
func verifyPlatform(h http.Handler, whole image, s shape) error {
	one := whole.only(wantedPlatform)
	switch s {
	case sparse:
		one.Docs = append(one.Docs, whole.root())
	case trimmed:
		root, err := readTrimmed(h, whole, one.root())
		if err != nil {
			return err
		}
		one.Docs = append(one.Docs, root)
	}
	if err := verify(h, []image{one}); err != nil {
		return err
	}
	// A registry has a manifest only if it has its blobs.
	for name := range whole.Blobs {
		if one.Blobs[name] == nil && has(h, "/v2/"+whole.Repo+"/blobs/"+name) {
			return fmt.Errorf("blob %s@%s is of a platform that was not wanted", whole.Repo, name)
		}
	}
	return nil
}

func has(h http.Handler, path string) bool {
	return do(h, http.MethodHead, path, "", nil).Code == http.StatusOK
}

// readTrimmed reads the index below the tag. It must list the wanted image alone, with its platform, and say which
// index it was made from.
func readTrimmed(h http.Handler, whole image, wanted doc) (doc, error) {
	w := do(h, http.MethodGet, "/v2/"+whole.Repo+"/manifests/"+whole.Tag, "", nil)
	var list manifest
	if err := json.Unmarshal(w.Body.Bytes(), &list); w.Code != http.StatusOK || err != nil {
		return doc{}, fmt.Errorf("%s:%s is no index (status %d)", whole.Repo, whole.Tag, w.Code)
	}
	switch {
	case list.MediaType != kindIndex || len(list.Manifests) != 1:
		return doc{}, fmt.Errorf("%s:%s is no index of one image: %.200s", whole.Repo, whole.Tag, w.Body)
	case list.Manifests[0].Digest != digestOf(wanted.raw) || list.Manifests[0].Size != int64(len(wanted.raw)),
		list.Manifests[0].Platform == nil || *list.Manifests[0].Platform != wantedPlatform:
		return doc{}, fmt.Errorf("%s:%s lists another image: %.200s", whole.Repo, whole.Tag, w.Body)
	case list.Annotations["io.github.drayage.trimmed.from"] != digestOf(whole.root().raw):
		return doc{}, fmt.Errorf("%s:%s does not say what it was trimmed from: %.300s", whole.Repo, whole.Tag, w.Body)
	}
	return doc{w.Body.Bytes(), kindIndex}, nil
}
