package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
)

// readIndex returns what index.json has. It reads the file only if the file has changed. The caller must not change
// the result.
func (d *Dir) readIndex() (*index, error) {
	if d.root == nil {
		return d.readIndexOver()
	}
	info, err := d.root.Stat(v1.ImageIndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault.Fault{Kind: fault.Refused, Op: "read " + v1.ImageIndexFile, Name: d.whole(),
			Err:  errors.New("the layout has no such file"),
			Hint: "copy the layout again, with all of its files"}
	}
	if err != nil {
		return nil, d.failed("read "+v1.ImageIndexFile, d.whole(), err)
	}
	d.mu.Lock()
	current, seen := d.current, d.seen
	d.mu.Unlock()
	if current != nil && sameFile(seen, info) {
		return current, nil
	}
	raw, err := d.readJSON(v1.ImageIndexFile, maxIndex)
	if err != nil {
		return nil, d.failed("read "+v1.ImageIndexFile, d.whole(), err)
	}
	x, err := parseIndex(raw)
	if err != nil {
		return nil, d.malformed(v1.ImageIndexFile, "%w", err)
	}
	// A file that was written just now may be written again within the precision of its time.
	after, err := d.root.Stat(v1.ImageIndexFile)
	if err == nil && sameFile(info, after) && time.Since(info.ModTime()) > settled {
		d.mu.Lock()
		d.current, d.seen = x, info
		d.mu.Unlock()
	}
	return x, nil
}

// readIndexOver returns what index.json has in files that do not change.
func (d *Dir) readIndexOver() (*index, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil {
		return d.current, nil
	}
	raw, err := d.readJSON(v1.ImageIndexFile, maxIndex)
	if err != nil {
		return nil, d.failed("read "+v1.ImageIndexFile, d.whole(), err)
	}
	if d.current, err = parseIndex(raw); err != nil {
		return nil, d.malformed(v1.ImageIndexFile, "%w", err)
	}
	return d.current, nil
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// parseIndex parses an index.json. It accepts "manifests": null as an empty list, because older
// tools wrote that.
func parseIndex(raw []byte) (*index, error) {
	x := &index{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	found := false
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		key := tok.(string) // at this position the token of an object is a key, which is a string
		switch {
		case !strings.EqualFold(key, "manifests"):
			err = dec.Decode(&json.RawMessage{})
		case found || key != "manifests":
			err = fmt.Errorf("the key %q is ambiguous", key)
		default:
			found = true
			err = x.readEntries(dec, raw)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is text after the object")
	}
	if !found {
		return nil, errors.New("the list of manifests is missing")
	}
	return x, nil
}

// readEntries reads the list that is the next value of dec. dec reads raw. The entries share the
// bytes of raw, because a list may have tens of megabytes.
func (x *index) readEntries(dec *json.Decoder, raw []byte) error {
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if tok == nil {
		end := dec.InputOffset()
		x.before, x.after = raw[:end-int64(len("null"))], raw[end:]
		return nil
	}
	if tok != json.Delim('[') {
		return errors.New("manifests is not a list")
	}
	x.before = raw[:dec.InputOffset()-1]
	for item := (json.RawMessage{}); dec.More(); {
		if err := dec.Decode(&item); err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		end := dec.InputOffset()
		e := entry{raw: raw[end-int64(len(item)) : end]}
		if err := json.Unmarshal(item, &e); err != nil {
			return fmt.Errorf("manifests[%d] is not a descriptor", len(x.entries))
		}
		e.labels = e.read()
		x.entries = append(x.entries, e)
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	x.after = raw[dec.InputOffset():]
	return nil
}

// bytes returns the text of the index. It writes one entry a line and everything else unchanged.
func (x *index) bytes() []byte {
	var b bytes.Buffer
	b.Write(x.before)
	b.WriteByte('[')
	for i, e := range x.entries {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(e.raw)
	}
	b.WriteString("\n  ]")
	b.Write(x.after)
	return b.Bytes()
}

// tags returns every tag of the repository path once, sorted. In the repository "", these are the tags of all
// repositories.
func (x *index) tags(path string) []string {
	var out []string
	for _, e := range x.entries {
		for _, l := range e.labels {
			if path == "" || l.path == path {
				out = append(out, l.tag)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
