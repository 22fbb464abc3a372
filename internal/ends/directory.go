package ends

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Names in a directory of skopeo. The manifest of the image is in manifest.json. Other documents are
// in HEX.manifest.json, and blobs in HEX, where HEX is the digest without its algorithm.
const (
	rootFile      = "manifest.json"
	rootSuffix    = ".manifest.json"
	versionFile   = "version"
	versionPrefix = "Directory Transport Version: 1."
	versionText   = versionPrefix + "1\n"
)

// readDirectory opens a directory of skopeo.
func readDirectory(end ref.Repo) (*reading, error) {
	const op = "open directory"
	if info, err := os.Stat(end.Dir); err == nil && !info.IsDir() {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: op, Name: end.String(), Err: errors.New("this is a file"),
			Hint: "name a directory; oci-archive:FILE and docker-archive:FILE name files"}
	}
	root, err := os.OpenRoot(end.Dir)
	if err != nil {
		return nil, failed(op, end.String(), err)
	}
	files := inRoot{root}
	v, err := viewDirectory(end.String(), files)
	if err != nil {
		_ = root.Close() // err is what the caller needs to know
		return nil, err
	}
	path := filepath.Join(end.Dir, rootFile)
	info, err := os.Stat(path)
	return &reading{files: v, path: path, info: info, close: root.Close}, failed(op, end.String(), err)
}

// viewDirectory shows the files of a directory of skopeo as those of a layout. The image has no
// name in it. A document that does not belong to the image, such as a signature of it, is an entry
// of the index without a name, too.
func viewDirectory(name string, files inRoot) (*view, error) {
	const op = "open directory"
	version, _, err := readAll(files, versionFile, 1000)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refused(op, name, "it has no file "+versionFile+", which the transport dir: of skopeo writes",
			"write oci:DIR for an OCI image layout")
	}
	if err != nil {
		return nil, failed(op, name, err)
	}
	if !strings.HasPrefix(string(version), versionPrefix) {
		return nil, refused(op, name, "dray reads version 1 of such directories; the file "+versionFile+" says another", "")
	}
	raw, fits, err := readAll(files, rootFile, oci.MaxDocument)
	if err != nil || !fits {
		return nil, refused(op, name, "it has no readable "+rootFile, "")
	}
	doc, err := oci.Parse(oci.Descriptor{}, raw)
	if err != nil {
		return nil, err
	}
	v := newView(files)
	x := v1.Index{MediaType: oci.TypeIndex, Manifests: []oci.Descriptor{doc.Descriptor}}
	x.SchemaVersion = 2
	v.at[blobName(doc.Digest)] = rootFile
	if err := v.addDocuments(files, &x, doc); err != nil {
		return nil, failed(op, name, err)
	}
	v.made[v1.ImageLayoutFile] = []byte(layoutHeader)
	v.made[v1.ImageIndexFile], err = json.Marshal(x)
	v.base = hexNames{files}
	return v, err
}

// addDocuments adds the documents besides that of the image, and lists in x those that do not
// belong to the image.
func (v *view) addDocuments(files inRoot, x *v1.Index, root oci.Document) error {
	names, err := files.names()
	if err != nil {
		return err
	}
	below := map[oci.Digest]bool{}
	others := []oci.Document{}
	note := func(doc oci.Document) {
		for _, c := range doc.Documents {
			below[c.Digest] = true
		}
	}
	note(root)
	for _, name := range names {
		if !strings.HasSuffix(name, rootSuffix) {
			continue
		}
		raw, fits, err := readAll(files, name, oci.MaxDocument)
		if err != nil {
			return err
		}
		doc, err := oci.Parse(oci.Descriptor{}, raw)
		if !fits || err != nil || doc.Digest.Encoded()+rootSuffix != name {
			continue // if the image needs it, the copy says what is wrong with it
		}
		note(doc)
		v.at[blobName(doc.Digest)] = name
		others = append(others, doc)
	}
	for _, doc := range others {
		if !below[doc.Digest] && doc.Subject != nil {
			x.Manifests = append(x.Manifests, doc.Descriptor)
		}
	}
	return nil
}

// hexNames finds a blob of a layout by the hex digits of its digest.
type hexNames struct{ base inRoot }

func (h hexNames) Open(name string) (layout.File, error) {
	if strings.HasPrefix(name, v1.ImageBlobsDir+"/") {
		hex := name[strings.LastIndexByte(name, '/')+1:]
		f, err := h.base.Open(hex + rootSuffix)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		return h.base.Open(hex)
	}
	return h.base.Open(name)
}

// inRoot are the files of a directory. No link leads out of it.
type inRoot struct{ root *os.Root }

func (r inRoot) Open(name string) (layout.File, error) {
	info, err := r.root.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	f, err := r.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	return inDirectory{f, info.Size()}, nil
}

// names returns the names of the files in the directory.
func (r inRoot) names() ([]string, error) {
	f, err := r.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// inDirectory is a file of a directory.
type inDirectory struct {
	*os.File
	size int64
}

func (f inDirectory) Size() int64 { return f.size }
