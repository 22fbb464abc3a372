package oci

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// Annotations of a trimmed index.
const (
	// AnnotationTrimmedFrom holds the digest of the index that an index was trimmed from.
	AnnotationTrimmedFrom = "io.github.drayage.trimmed.from"

	// AnnotationTrimmedTo holds the platforms that were asked for, as [PlatformsString] writes them, without
	// those that the image does not have.
	AnnotationTrimmedTo = "io.github.drayage.trimmed.platforms"
)

// annotationOf is the annotation of BuildKit's attestations in an index: the digest of the image that they
// are about.
const annotationOf = "vnd.docker.reference.digest"

// AnnotationRole is the annotation by which BuildKit says what a child of an index is that is no image, such as
// "attestation-manifest".
const AnnotationRole = "vnd.docker.reference.type"

// Subset is a part of an image that is for some platforms.
type Subset struct {
	Document            // the document for this part; it is the whole one if nothing was left out
	Has      []Platform // the platforms of the image, in its order; none if it is for no platform
	Found    []Platform // which of those that were asked for the image has
	Lacks    []Platform // which of them it does not have
}

// Nested has the platforms of the indexes that an index lists, and of what is below these.
type Nested map[Digest][]Platform

// IsNested reports whether the entry d of an index is an index that does not say what it is for. [Nested] says it.
func IsNested(d Descriptor) bool {
	return (d.MediaType == TypeIndex || d.MediaType == TypeDockerList) && !NamesPlatform(d.Platform)
}

// Trim returns an index with the children that are for the platforms in only. It keeps what belongs to a kept
// child, such as an attestation, and every child that names no platform. A nested index stays as it is if
// something in it is for one of these platforms, or if nested does not have it. The
// children keep their bytes, and the other fields of the index theirs. An annotation names the digest of the
// old index; a manifest list of Docker cannot have annotations, and gets none. Equal arguments give equal bytes.
//
// If nothing is left out, if index is no index, or if it names no platforms, the result is index itself.
func Trim(index Document, only []Platform, nested Nested) (Subset, error) {
	s, keep := choose(index, only, nested)
	if keep == nil || len(s.Found) == 0 {
		return s, nil
	}
	raw, err := trimmed(index, keep, s.Found)
	if err != nil {
		return Subset{}, refused(index.Digest, "%v", err)
	}
	s.Document, err = Parse(Descriptor{MediaType: index.MediaType}, raw)
	return s, err
}

// Sparse returns index with all of its bytes, but with Documents that hold only what [Trim] keeps.
func Sparse(index Document, only []Platform, nested Nested) Subset {
	s, keep := choose(index, only, nested)
	if keep == nil {
		return s
	}
	kept := map[Digest]bool{}
	for i, e := range entriesOf(index) {
		kept[e.Digest] = kept[e.Digest] || keep[i]
	}
	s.Documents = slices.DeleteFunc(slices.Clone(index.Documents), func(d Descriptor) bool { return !kept[d.Digest] })
	return s
}

// SubsetOf returns the Subset of an image that is a single manifest. p is its platform, as its config says.
func SubsetOf(manifest Document, p Platform, only []Platform) Subset {
	s := Subset{Document: manifest}
	if NamesPlatform(&p) {
		s.Has = []Platform{p}
		s.match(only)
	}
	return s
}

// match sets Found and Lacks.
func (s *Subset) match(only []Platform) {
	for _, asked := range only {
		if slices.ContainsFunc(s.Has, func(p Platform) bool { return PlatformMatches(asked, p) }) {
			s.Found = append(s.Found, asked)
		} else {
			s.Lacks = append(s.Lacks, asked)
		}
	}
}

// TrimmedFrom returns what the annotations of an index say about its origin: the digest of the index that it
// was trimmed from, and the platforms. The digest is "" if it was not trimmed.
func TrimmedFrom(index Document) (from Digest, platforms string) {
	var has struct {
		Annotations map[string]string `json:"annotations"`
	}
	if !index.IsIndex() || json.Unmarshal(index.Raw, &has) != nil {
		return "", ""
	}
	return Digest(has.Annotations[AnnotationTrimmedFrom]), has.Annotations[AnnotationTrimmedTo]
}

// entriesOf returns the entries of an index as it lists them.
func entriesOf(index Document) []Descriptor {
	var list struct {
		Manifests []Descriptor `json:"manifests"`
	}
	if json.Unmarshal(index.Raw, &list) != nil { // Parse has read the same bytes
		return nil
	}
	return list.Manifests
}

// choose says for each entry of an index whether it is kept; keep is nil if all are.
func choose(index Document, only []Platform, nested Nested) (s Subset, keep []bool) {
	s.Document = index
	if !index.IsIndex() || len(only) == 0 {
		return s, nil
	}
	entries := entriesOf(index)
	for _, e := range entries {
		s.Has = append(s.Has, platformsOf(e, nested)...)
	}
	if len(s.Has) == 0 {
		return s, nil
	}
	s.match(only)
	keep = make([]bool, len(entries))
	kept := map[Digest]bool{}
	for i, e := range entries {
		has := platformsOf(e, nested)
		keep[i] = len(has) == 0 || slices.ContainsFunc(has, func(p Platform) bool { return isAsked(only, p) })
		kept[e.Digest] = kept[e.Digest] || keep[i]
	}
	listed := map[Digest]bool{}
	for _, e := range entries {
		listed[e.Digest] = true
	}
	for i, e := range entries {
		if of := Digest(e.Annotations[annotationOf]); listed[of] && !NamesPlatform(e.Platform) {
			keep[i] = kept[of]
		}
	}
	if !slices.Contains(keep, false) {
		return s, nil
	}
	return s, keep
}

// platformsOf returns the platforms that an entry of an index is for.
func platformsOf(e Descriptor, nested Nested) []Platform {
	if NamesPlatform(e.Platform) {
		return []Platform{*e.Platform}
	}
	if IsNested(e) {
		return nested[e.Digest]
	}
	return nil
}

// isAsked reports whether p is one of the platforms in only.
func isAsked(only []Platform, p Platform) bool {
	return slices.ContainsFunc(only, func(asked Platform) bool { return PlatformMatches(asked, p) })
}

// trimmed returns the bytes of index with the entries of keep.
func trimmed(index Document, keep []bool, found []Platform) ([]byte, error) {
	fields, err := object(index.Raw, nil)
	if err != nil {
		return nil, err
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(fields["manifests"], &entries); err != nil {
		return nil, err
	}
	var kept []json.RawMessage
	for i, e := range entries {
		if keep[i] {
			kept = append(kept, e)
		}
	}
	fields["manifests"] = list(kept)
	if index.MediaType != TypeDockerList {
		var notes map[string]json.RawMessage
		if has := fields["annotations"]; has != nil && !isNull(has) {
			if notes, err = object(has, nil); err != nil {
				return nil, err
			}
		}
		notes = maps.Clone(notes)
		if notes == nil {
			notes = map[string]json.RawMessage{}
		}
		notes[AnnotationTrimmedFrom] = text(string(index.Digest))
		notes[AnnotationTrimmedTo] = text(PlatformsString(found))
		fields["annotations"] = write(notes, keysOf(fields["annotations"]))
	}
	return write(fields, keysOf(index.Raw)), nil
}

// keysOf returns the keys of a JSON object in their order.
func keysOf(raw json.RawMessage) []string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var keys []string
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil
	}
	for dec.More() {
		tok, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return keys
		}
		if key, ok := tok.(string); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// write returns a JSON object with the values of fields as they are: first the keys in order, then the others.
func write(fields map[string]json.RawMessage, order []string) []byte {
	rank := map[string]int{}
	for i, key := range order {
		rank[key] = i - len(order)
	}
	keys := slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), cmp.Compare(a, b))
	})
	var out bytes.Buffer
	out.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(text(key))
		out.WriteByte(':')
		out.Write(fields[key])
	}
	out.WriteByte('}')
	return out.Bytes()
}

// list returns a JSON array.
func list(items []json.RawMessage) []byte {
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']')
}

// text returns a JSON string.
func text(s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be written
	return bytes.TrimSpace(out.Bytes())
}
